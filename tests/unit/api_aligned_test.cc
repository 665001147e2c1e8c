// SPDX-License-Identifier: Apache-2.0
//
// hak_aligned_alloc, hak_posix_memalign, hak_memalign, hak_valloc and hak_pvalloc: every alignment to 64 MiB with every
// kind of size, error codes, and the sized ways to free such blocks. Calls that must fail with ENOMEM or EINVAL through
// errno are in the table of api_conformance_test.cc.

#include <unistd.h>

#include "tests/unit/test_support.h"

namespace hak_test {
namespace {

using ApiAligned = AllocatorTest;

const size_t kSizes[] = {0,     1,     8,     15,    16,     17,      48,      63,      64,      65,     100,   192,
                         1000,  1024,  4095,  4096,  4097,   8191,    8192,    8193,    12288,   32767,  32768, 32784,
                         40000, 65535, 65536, 65537, 131072, 1000000, 1048576, 1048577, 2097152, 3000000};

// The ways to ask for the same thing.
enum class How { kAlignedAlloc, kMemalign, kPosixMemalign };
constexpr How kWays[] = {How::kAlignedAlloc, How::kMemalign, How::kPosixMemalign};

void *AllocateAligned(How how, size_t alignment, size_t size) {
  if (how == How::kAlignedAlloc) return hak_aligned_alloc(alignment, size);
  if (how == How::kMemalign || alignment < sizeof(void *)) return hak_memalign(alignment, size);
  void *block = nullptr;
  EXPECT_EQ(0, hak_posix_memalign(&block, alignment, size));
  return block;
}

// Blocks of alignments above 64 KiB lie in superslabs of their own: all of that is usable, and not all is filled here.
constexpr size_t kFilled = 160 * kKiB;
constexpr size_t kOverhead = 2 * kMiB + 64 * kKiB;

size_t Filled(size_t size, size_t usable) { return usable < kFilled ? usable : size; }

TEST_F(ApiAligned, EveryAlignmentWithEveryKindOfSize) {
  for (size_t alignment = 1; alignment <= 64 * kMiB; alignment *= 2) {
    // Three blocks of each size are live at once, each filled to its last usable byte.
    struct Block {
      void *pointer;
      size_t size, usable;
    };
    std::vector<Block> blocks;
    LiveModel model;
    for (size_t size : kSizes) {
      if (HAK_TEST_SLOWDOWN > 1 && alignment > 4 * kMiB && size % 16 != 0) continue;
      for (How how : kWays) {
        void *const pointer = AllocateAligned(how, alignment, size);
        ASSERT_NE(nullptr, pointer) << "alignment " << alignment << ", size " << size;
        ASSERT_TRUE(IsAligned(pointer, alignment)) << pointer << ", alignment " << alignment << ", size " << size;
        ASSERT_TRUE(IsAligned(pointer, 16)) << pointer << ", alignment " << alignment << ", size " << size;
        const size_t usable = hak_usable_size(pointer);
        ASSERT_GE(usable, size) << "alignment " << alignment;
        // Alignment may cost, but not without bound.
        ASSERT_LE(usable, size + size / 2 + (alignment > 64 * kKiB ? kOverhead : alignment + 64 * kKiB));
        FillPattern(pointer, Filled(size, usable), blocks.size());
        if (usable > 0) static_cast<unsigned char *>(pointer)[usable - 1] ^= 0xFF;  // changed back before the check
        blocks.push_back({pointer, size, usable});
        model.Add(pointer);
      }
    }
    const hak_statistics s = Statistics();
    model.ExpectEqual(s);
    ExpectFiguresAddUp(s);
    for (size_t i = 0; i < blocks.size(); ++i) {
      const Block &block = blocks[i];
      if (block.usable > 0) static_cast<unsigned char *>(block.pointer)[block.usable - 1] ^= 0xFF;
      ASSERT_EQ(kNone, FirstWrongByte(block.pointer, Filled(block.size, block.usable), i))
          << "alignment " << alignment << ", size " << block.size;
      // Every way to free it in turn.
      if (i % 4 == 0) {
        hak_free(block.pointer);
      } else if (i % 4 == 1) {
        hak_free_aligned_sized(block.pointer, alignment, block.size);
      } else if (i % 4 == 2) {
        EXPECT_EQ(nullptr, hak_realloc(block.pointer, 0));
      } else {
        void *const moved = hak_realloc(block.pointer, block.size + 100);
        ASSERT_NE(nullptr, moved);
        ASSERT_EQ(kNone, FirstWrongByte(moved, block.size, i)) << "alignment " << alignment << ", size " << block.size;
        hak_free(moved);
      }
    }
    ExpectNothingLive("after one alignment");
  }
}

// More than a slab full of each, so that the first and the last block of a run are met as well.
TEST_F(ApiAligned, ManyBlocksOfEachAlignment) {
  for (size_t alignment = 16; alignment <= 64 * kKiB; alignment *= 2) {
    for (size_t size : {alignment / 2 + 1, alignment, alignment + 1, 3 * alignment}) {
      std::vector<void *> blocks(300);
      for (size_t i = 0; i < blocks.size(); ++i) {
        blocks[i] = hak_aligned_alloc(alignment, size);
        ASSERT_NE(nullptr, blocks[i]);
        ASSERT_TRUE(IsAligned(blocks[i], alignment)) << alignment << " " << size;
        FillPattern(blocks[i], size < 1024 ? hak_usable_size(blocks[i]) : 1024, i);
      }
      for (size_t i = 0; i < blocks.size(); ++i) {
        ASSERT_EQ(kNone, FirstWrongByte(blocks[i], size < 1024 ? hak_usable_size(blocks[i]) : 1024, i));
        hak_free_aligned_sized(blocks[i], alignment, size);
      }
    }
  }
}

TEST_F(ApiAligned, PosixMemalignReturnsItsErrorAndKeepsErrnoAndResult) {
  struct {
    size_t alignment, size;
    int expected;
  } const table[] = {
      {0, 16, EINVAL},
      {1, 16, EINVAL},
      {2, 16, EINVAL},
      {4, 16, EINVAL},
      {3, 16, EINVAL},
      {7, 16, EINVAL},
      {12, 16, EINVAL},
      {24, 16, EINVAL},
      {4095, 16, EINVAL},
      {4097, 16, EINVAL},
      {SIZE_MAX, 16, EINVAL},
      {SIZE_MAX - 7, 16, EINVAL},
      {8, SIZE_MAX, ENOMEM},
      {16, kPtrdiffMax + 1, ENOMEM},
      {64, kPtrdiffMax, ENOMEM},
      {4096, SIZE_MAX - 4095, ENOMEM},
      {kMiB, kPtrdiffMax - kMiB, ENOMEM},
      {SIZE_MAX / 2 + 1, 1, ENOMEM},
      {SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1, ENOMEM},
      {SIZE_MAX / 4 + 1, 0, ENOMEM},
  };
  for (const auto &row : table) {
    SCOPED_TRACE("posix_memalign(" + std::to_string(row.alignment) + ", " + std::to_string(row.size) + ")");
    int untouched;
    void *result = &untouched;
    errno = EDOM;
    EXPECT_EQ(row.expected, hak_posix_memalign(&result, row.alignment, row.size));
    EXPECT_EQ(EDOM, errno);
    EXPECT_EQ(&untouched, result);
  }
  for (size_t alignment : {8, 16, 64, 4096, 1048576}) {
    void *result = nullptr;
    errno = EDOM;
    EXPECT_EQ(0, hak_posix_memalign(&result, alignment, 0)) << alignment;
    EXPECT_EQ(EDOM, errno);
    EXPECT_NE(nullptr, result);
    EXPECT_TRUE(IsAligned(result, alignment));
    hak_free(result);
  }
}

TEST_F(ApiAligned, AlignedAllocTakesAnyPowerOfTwoAndAnySize) {
  for (size_t alignment : {1, 2, 4, 8}) {
    for (size_t size : {0, 1, 3, 17, 1001}) {
      void *const block = hak_aligned_alloc(alignment, size);
      ASSERT_NE(nullptr, block) << alignment << " " << size;
      EXPECT_TRUE(IsAligned(block, 16));
      EXPECT_GE(hak_usable_size(block), size);
      hak_free_aligned_sized(block, alignment, size);
    }
  }
}

TEST_F(ApiAligned, MemalignRoundsTheAlignmentUp) {
  struct {
    size_t asked, given;
  } const table[] = {{0, 16},   {1, 16},      {3, 16},      {15, 16},     {17, 32},        {24, 32},          {33, 64},
                     {65, 128}, {1000, 1024}, {1025, 2048}, {4097, 8192}, {65537, 131072}, {1000000, 1048576}};
  for (const auto &row : table) {
    std::vector<void *> blocks(20);
    for (void *&block : blocks) {
      block = hak_memalign(row.asked, 10);
      ASSERT_NE(nullptr, block) << row.asked;
      EXPECT_TRUE(IsAligned(block, row.given)) << row.asked << ": " << block;
    }
    for (void *block : blocks) hak_free(block);
  }
  // Nothing to round up to.
  for (size_t alignment : {SIZE_MAX, SIZE_MAX / 2 + 2}) {
    errno = 0;
    EXPECT_EQ(nullptr, hak_memalign(alignment, 10));
    EXPECT_TRUE(errno == EINVAL || errno == ENOMEM) << errno;
  }
}

TEST_F(ApiAligned, VallocAndPvallocGivePages) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (size_t size : {size_t{0}, size_t{1}, page - 1, page, page + 1, 5 * page - 1, size_t{100000}, 3 * kMiB + 1}) {
    for (int i = 0; i < 10; ++i) {
      void *const one = hak_valloc(size);
      void *const other = hak_pvalloc(size);
      ASSERT_NE(nullptr, one);
      ASSERT_NE(nullptr, other);
      EXPECT_TRUE(IsAligned(one, page));
      EXPECT_TRUE(IsAligned(other, page));
      EXPECT_GE(hak_usable_size(one), size);
      const size_t rounded = size == 0 ? page : (size + page - 1) / page * page;
      EXPECT_GE(hak_usable_size(other), rounded) << "pvalloc(" << size << ")";
      FillPattern(one, hak_usable_size(one), 1);
      FillPattern(other, hak_usable_size(other), 2);
      EXPECT_EQ(kNone, FirstWrongByte(one, hak_usable_size(one), 1));
      hak_free(one);
      EXPECT_EQ(kNone, FirstWrongByte(other, hak_usable_size(other), 2));
      hak_free(other);
    }
  }
}

// Aligned blocks come out of the same memory again and again.
TEST_F(ApiAligned, RepeatedUseDoesNotGrowTheHeap) {
  for (size_t alignment : {size_t{64}, size_t{4096}, size_t{16384}, 64 * kKiB, kMiB, 8 * kMiB}) {
    SCOPED_TRACE("alignment " + std::to_string(alignment));
    hak_trim(0);
    size_t committed = 0, mapped = 0;
    for (int round = 0; round < 20; ++round) {
      void *blocks[20];
      for (void *&block : blocks) {
        block = hak_aligned_alloc(alignment, 1000);
        ASSERT_NE(nullptr, block);
      }
      const hak_statistics s = Statistics();
      if (round < 2) {
        committed = s.committed_bytes;
        mapped = s.mapped_bytes;
      } else {
        EXPECT_LE(s.committed_bytes, committed + 2 * kMiB) << "round " << round;
        EXPECT_LE(s.mapped_bytes, mapped + 4 * kMiB) << "round " << round;
      }
      for (void *block : blocks) hak_free(block);
    }
  }
}

}  // namespace
}  // namespace hak_test
