// SPDX-License-Identifier: Apache-2.0
//
// What the Box alone finds: pointers to where no block is, bytes written behind the requested size, and free memory that was
// written to, in quarantine and in lists: thread_cache/box, thread_cache/quarantine, api/box_api.

#include <thread>

#include "tests/unit/misuse_support.h"

namespace hak_test {
namespace {

constexpr unsigned char kFill = 0xFB;
// More blocks than a quarantine keeps.
constexpr size_t kMany = 200;

unsigned char *Written(void *pointer) { return static_cast<unsigned char *>(Opaque(pointer)); }

// Blocks of the class come and go until the oldest ones in quarantine are used again.
void Churn(size_t size) {
  for (size_t i = 0; i < kMany; ++i) hak_free(hak_malloc(size));
}

// Frees a block and so many others that it leaves its quarantine, for the list of its class. The others were allocated before.
void FreeIntoList(unsigned char *block, const std::vector<unsigned char *> &others) {
  hak_free(block);
  for (unsigned char *other : others) hak_free(other);
}

std::vector<unsigned char *> AllocateMany(size_t size) {
  std::vector<unsigned char *> blocks(kMany);
  for (unsigned char *&block : blocks) block = Allocate(size);
  return blocks;
}

// ---- Pointers -------------------------------------------------------------------------------------------------------

// In a slab, but where no block begins: before the first block, behind the last, and where none was carved yet.
TEST(BoxMemoryTest, PointersBetweenBlocks) {
  // Of this class, 31 blocks and 1552 bytes that are in none; and of this one no block but the first is carved.
  unsigned char *const block = Allocate(2060), *const first = Allocate(24000);
  const uintptr_t slab = reinterpret_cast<uintptr_t>(block) & ~uintptr_t{65535};
  for (const uintptr_t address : {slab, slab + 1, slab + 65536 - 16, slab + 65535}) {
    ExpectFreeReports(kInvalid, At(address));
  }
  const size_t stride = Capacity(24000) + 1;
  ExpectFreeReports(kInvalid, Opaque(first + stride));
  ExpectFreeReports(kInvalid, Opaque(first + 2 * stride));
  hak_free(block);
  hak_free(first);
}

TEST(BoxMemoryTest, ReallocOfAPointerIntoABlock) {
  unsigned char *const block = Allocate(100);
  ExpectReport(Line("realloc", block + 16, kInterior), [block] { (void)!hak_realloc(Opaque(block + 16), 5000); });
  hak_free(block);
}

TEST(BoxMemoryTest, UsableSizeOfAFreeBlock) {
  for (const size_t size : {size_t{100}, size_t{100000}, 3 * kMiB}) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    ExpectReport(Line("malloc_usable_size", block, kUseAfterFree), [=] {
      hak_free(block);
      (void)!hak_usable_size(Opaque(block));
    });
    hak_free(block);
  }
}

// ---- Behind and before a block --------------------------------------------------------------------------------------

// Each byte between the requested size and the next block; realloc and malloc_usable_size look as well.
TEST(BoxMemoryTest, BytesBehindTheRequestedSize) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{40}, size_t{500}, size_t{2000}, size_t{32760}}) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    std::vector<size_t> offsets = {size, Capacity(size) - 1};
    for (size_t offset = size; offset < Capacity(size); offset += 1 + (offset - size) / 2) offsets.push_back(offset);
    for (const size_t offset : offsets) {
      ExpectReport(Line("free", block, kOverflow), [=] {
        Written(block)[offset] ^= 1;
        hak_free(block);
      });
      ASSERT_FALSE(HasFailure()) << "offset " << offset;
    }
    ExpectReport(Line("realloc", block, kOverflow), [=] {
      Written(block)[size] = 0;
      (void)!hak_realloc(block, 50);
    });
    ExpectReport(Line("malloc_usable_size", block, kOverflow), [=] {
      Written(block)[size] = 0;
      (void)!hak_usable_size(block);
    });
    hak_free(block);
  }
}

// What realloc leaves in place has a new end.
TEST(BoxMemoryTest, BytesBehindTheNewSize) {
  for (const auto &[size, new_size] :
       {std::pair<size_t, size_t>{110, 100}, {100, 105}, {90000, 80000}, {80000, 90000}}) {
    SCOPED_TRACE("from " + OfSize(size) + " to " + OfSize(new_size));
    unsigned char *const block = Allocate(size);
    ASSERT_EQ(block, hak_realloc(block, new_size));
    ASSERT_EQ(new_size, hak_usable_size(block));
    ExpectQuiet([=, end = new_size] {
      memset(block, 'x', end);
      hak_free(block);
    });
    ExpectReport(Line("free", block, kOverflow), [=, end = new_size] {
      Written(block)[end] = 'x';
      hak_free(block);
    });
    hak_free(block);
  }
}

TEST(BoxMemoryTest, BytesAroundLargeBlocks) {
  for (const size_t size : {size_t{40000}, size_t{65536}, size_t{300000}, 2 * kMiB, 3 * kMiB}) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    for (const size_t behind : {0, 1, 63}) {
      ExpectReport(Line("free", block, kOverflow), [=] {
        Written(block)[size + behind] = 'x';
        hak_free(block);
      });
    }
    for (const ptrdiff_t before : {1, 8, 64}) {
      ExpectReport(Line("free", block, kOverwritten), [=] {
        Written(block)[-before] = 'x';
        hak_free(block);
      });
    }
    ExpectQuiet([=] {
      memset(block, 'x', size);
      hak_free(block);
    });
    hak_free(block);
  }
}

// ---- Written to after it was freed ----------------------------------------------------------------------------------

// The malloc that would give the block out again finds it, whichever byte it is.
TEST(BoxMemoryTest, EveryByteInQuarantine) {
  for (const size_t size : {size_t{1}, size_t{100}, size_t{500}, size_t{32768}}) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    const size_t capacity = Capacity(size);
    for (const size_t offset : {size_t{0}, size_t{7}, size_t{8}, capacity / 2, size - 1, size, capacity - 1}) {
      ExpectReport(Line("malloc", block + offset, kWriteAfterFree), [=] {
        hak_free(block);
        Written(block)[offset] ^= 1;
        Churn(size);
      });
      ASSERT_FALSE(HasFailure()) << "offset " << offset;
    }
    ExpectQuiet([=] {
      hak_free(block);
      Churn(size);
    });
    hak_free(block);
  }
}

// What leads out of quarantine at once finds it too.
TEST(BoxMemoryTest, TrimAndTheEndOfAThreadLookAtTheQuarantine) {
  unsigned char *const block = Allocate(100), *const neighbour = Allocate(100);
  ExpectReport(Line("free", block, kWriteAfterFree), [=] {
    hak_free(block);
    Written(block)[0] = 'x';
    hak_trim(0);
  });
  ExpectReport(Line("free", block, kWriteAfterFree), [=] {
    std::thread([=] {
      hak_free(block);
      Written(block)[0] = 'x';
    }).join();
  });
  hak_free(block);
  hak_free(neighbour);
}

// The link of a free block in a list leads somewhere else.
TEST(BoxMemoryTest, TheLinkInAList) {
  for (const size_t size : {size_t{1}, size_t{500}, size_t{32768}}) {
    SCOPED_TRACE(OfSize(size));
    const std::vector<unsigned char *> others = AllocateMany(size);
    unsigned char *const block = Allocate(size), *const large = Allocate(100000);
    unsigned char *const of_another_class = Allocate(size / 2 + 700);
    for (void *const link : {At(0x4141414141414141), At(1), At(~uintptr_t{0}), Opaque(&global_with_a_value),
                             Opaque(block + 1), Opaque(block), Opaque(large), Opaque(of_another_class)}) {
      ExpectReport(Line("malloc", block, kWriteAfterFree), [&] {
        FreeIntoList(block, others);
        memcpy(Written(block), &link, sizeof link);
        for (size_t i = 0; i < 2 * kMany; ++i) (void)!hak_calloc(1, size);
      });
      ASSERT_FALSE(HasFailure()) << "link " << link;
    }
    for (unsigned char *each : others) hak_free(each);
    for (unsigned char *each : {block, large, of_another_class}) hak_free(each);
  }
}

TEST(BoxMemoryTest, EveryByteInAList) {
  const std::vector<unsigned char *> others = AllocateMany(200);
  unsigned char *const block = Allocate(200);
  for (const size_t offset : {8, 9, 100, 199, 200, 206}) {
    ExpectReport(Line("malloc", block + offset, kWriteAfterFree), [&, offset] {
      FreeIntoList(block, others);
      Written(block)[offset] ^= 0x81;
      for (size_t i = 0; i < 2 * kMany; ++i) (void)!hak_malloc(200);
    });
    ASSERT_FALSE(HasFailure()) << "offset " << offset;
  }
  for (unsigned char *each : others) hak_free(each);
  hak_free(block);
}

// The block before it stays in use: its free would look at this header too.
TEST(BoxMemoryTest, HeaderOfAFreeBlockOverwritten) {
  const auto blocks = Neighbours(200);
  ASSERT_NE(nullptr, blocks.first);
  unsigned char *const block = blocks.second;
  const unsigned live = block[-1];
  for (const unsigned value : {0u, 0xFFu, unsigned{'x'}, live, live | 0x20u}) {
    ExpectReport(Line("malloc", block - 1, kOverwritten), [=] {
      hak_free(block);
      Written(block)[-1] = static_cast<unsigned char>(value);
      Churn(200);
    });
  }
  hak_free(blocks.first);
  hak_free(block);
}

TEST(BoxMemoryTest, LargeBlocksWrittenToAfterTheyWereFreed) {
  for (const size_t size : {size_t{40000}, size_t{100000}, size_t{200000}}) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    for (const size_t offset : {size_t{0}, size_t{5000}, size - 1}) {
      ExpectReport(Line("free", block + offset, kWriteAfterFree), [=] {
        hak_free(block);
        Written(block)[offset] = 'x';
        hak_trim(0);
      });
    }
    hak_free(block);
  }
}

// A free block shows nothing of what it held, and a new one nothing of what its memory held before.
TEST(BoxMemoryTest, FreeAndFreshMemoryIsFilled) {
  for (const size_t size : {size_t{1}, size_t{100}, size_t{32768}, size_t{100000}}) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *block = Allocate(size);
    hak_free(block);
    for (size_t i = 0; i < size; ++i) ASSERT_EQ(kFill, Written(block)[i]) << "byte " << i << " after free";
    block = static_cast<unsigned char *>(hak_malloc(size));
    if (size > 32768) {
      // Pages that nobody has touched stay so.
      for (size_t i = 0; i < size; ++i) ASSERT_TRUE(block[i] == kFill || block[i] == 0) << "byte " << i;
    } else {
      for (size_t i = 0; i < size; ++i) ASSERT_EQ(kFill, block[i]) << "byte " << i << " of a new block";
    }
    hak_free(block);
  }
}

}  // namespace
}  // namespace hak_test
