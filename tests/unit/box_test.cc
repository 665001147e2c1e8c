// SPDX-License-Identifier: Apache-2.0
//
// Misuse, and how each checks level reports it: pointers that are none of hakmem's, pointers into large blocks, double frees;
// and that a call does nothing where a handler lets the program go on: thread_cache/box, api/malloc_api, api/box_api. Every
// misuse happens in a forked child, which must write its report and abort. What a level does not find is undefined there,
// and not tested.

#include <sys/mman.h>

#include <thread>

#include "tests/unit/misuse_support.h"

namespace hak_test {
namespace {

TEST(BoxTest, TheLevelIsTheOneThatIsTested) { EXPECT_EQ(HAK_TEST_EXPECTED_CHECKS, ChecksLevel()); }

// ---- Pointers that are none of hakmem's, at every level -------------------------------------------------------------

std::vector<void *> ForeignPointers() {
  static void *const mapped = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  static int global_with_zero;
  static void *const of_libc = malloc(100);
  int on_the_stack = 0;
  std::vector<void *> pointers = {Opaque(&on_the_stack),
                                  Opaque(&global_with_a_value),
                                  Opaque(&global_with_zero),
                                  Opaque(of_libc),
                                  Opaque(kInvalid),
                                  Opaque(static_cast<char *>(mapped)),
                                  Opaque(static_cast<char *>(mapped) + 16),
                                  Opaque(static_cast<char *>(mapped) + 65536),
                                  reinterpret_cast<void *>(&ForeignPointers)};
  // Near NULL, where the header would be before the address space; at its end; and where no address can be.
  for (const uintptr_t address : {1, 8, 15, 16, 17, 4095, 4096, 65535, 65536}) pointers.push_back(At(address));
  for (const uintptr_t address : {1, 15, 16, 4096}) pointers.push_back(At(0 - address));
  for (const unsigned bit : {47, 48, 56, 62, 63}) pointers.push_back(At(uintptr_t{1} << bit));
  return pointers;
}

TEST(BoxTest, ForeignPointers) {
  for (void *const pointer : ForeignPointers()) {
    ExpectReport(Line("free", pointer, kInvalid), [pointer] { hak_free(pointer); });
    if (HasFailure()) return;
  }
}

TEST(BoxTest, ForeignPointersInAThreadThatHasNotAllocated) {
  void *const pointer = At(16);
  ExpectReport(Line("free", pointer, kInvalid), [pointer] { std::thread([pointer] { hak_free(pointer); }).join(); });
}

// Every function names itself, but for those that are free under other names; the Box tells these apart.
constexpr const char *kReallocToZero = kIsBox ? "realloc" : "free";
constexpr const char *kFreeSized = kIsBox ? "free_sized" : "free";

TEST(BoxTest, ForeignPointersInOtherFunctions) {
  for (void *const pointer : {At(16), Opaque(&global_with_a_value)}) {
    ExpectReport(Line("realloc", pointer, kInvalid), [pointer] { (void)!hak_realloc(pointer, 100); });
    ExpectReport(Line("realloc", pointer, kInvalid), [pointer] { (void)!hak_realloc(pointer, 1000000); });
    ExpectReport(Line("realloc", pointer, kInvalid), [pointer] { (void)!hak_reallocarray(pointer, 10, 10); });
    ExpectReport(Line("malloc_usable_size", pointer, kInvalid), [pointer] { (void)!hak_usable_size(pointer); });
    ExpectReport(Line(kReallocToZero, pointer, kInvalid), [pointer] { (void)!hak_realloc(pointer, 0); });
    ExpectReport(Line(kFreeSized, pointer, kInvalid), [pointer] { hak_free_sized(pointer, 4); });
    ExpectReport(Line(kIsBox ? "free_aligned_sized" : "free", pointer, kInvalid),
                 [pointer] { hak_free_aligned_sized(pointer, 64, 64); });
  }
}

// Addresses beside those that hakmem uses: they may lie in its window, where nothing is mapped.
TEST(BoxTest, PointersFarFromAnyBlock) {
  unsigned char *const block = Allocate(3 * kMiB);
  for (const uintptr_t distance : {size_t{256} << 20, size_t{1} << 30, size_t{64} << 30, size_t{1} << 40}) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(block);
    ExpectFreeReports(kInvalid, At(address + distance));
    ExpectFreeReports(kInvalid, At(address - distance));
  }
  hak_free(block);
}

TEST(BoxTest, NullIsNoMisuse) {
  ExpectQuiet([] {
    hak_free(nullptr);
    hak_free_sized(nullptr, 10);
    hak_free_aligned_sized(nullptr, 64, 10);
    if (hak_usable_size(nullptr) != 0) ChildFails("NULL has usable bytes");
    hak_free(hak_realloc(nullptr, 10));
    std::thread([] { hak_free(nullptr); }).join();
  });
}

// ---- Large blocks, at every level -----------------------------------------------------------------------------------

// The Box knows of such memory what it is or was.
constexpr const char *kInteriorOfLarge = kIsBox ? kInterior : kInvalid;
constexpr const char *kFreedLongAgo = kIsBox ? kDoubleFree : kInvalid;

TEST(BoxTest, PointersIntoLargeBlocks) {
  for (const size_t size : {size_t{40000}, size_t{300000}, 3 * kMiB, 9 * kMiB}) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    for (const size_t offset : {size_t{1}, size_t{8}, size_t{16}, size_t{4096}, size / 2, size - 1}) {
      ExpectFreeReports(kInteriorOfLarge, Opaque(block + offset));
    }
    ExpectReport(Line("realloc", block + 16, kInteriorOfLarge), [&] { (void)!hak_realloc(Opaque(block + 16), size); });
    ExpectReport(Line("malloc_usable_size", block + 4096, kInteriorOfLarge),
                 [&] { hak_usable_size(Opaque(block + 4096)); });
    ExpectQuiet([block] { hak_free(block); });
    hak_free(block);
  }
}

TEST(BoxTest, LargeBlocksFreedTwice) {
  for (const size_t size : {size_t{40000}, size_t{300000}, 3 * kMiB, 9 * kMiB}) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    ExpectReport(Line("free", block, kFreedLongAgo), [block] {
      hak_free(block);
      hak_free(Opaque(block));
    });
    ExpectReport(Line("realloc", block, kFreedLongAgo), [block] {
      hak_free(block);
      (void)!hak_realloc(Opaque(block), 50000);
    });
    ExpectReport(Line("free", block, kFreedLongAgo), [block] {
      hak_free(block);
      hak_trim(0);
      std::thread([block] { hak_free(Opaque(block)); }).join();
    });
    hak_free(block);
  }
}

// Small blocks whose slab is not in use any more.
TEST(BoxTest, BlocksWhoseSlabIsGone) {
  for (const size_t size : kSizes) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    ExpectReport(Line("free", block, kFreedLongAgo), [block] {
      hak_free(block);
      hak_trim(0);
      hak_free(Opaque(block));
    });
    hak_free(block);
  }
}

#if HAK_TEST_EXPECTED_CHECKS > 0

// ---- Freed twice ----------------------------------------------------------------------------------------------------

TEST(BoxTest, FreedTwiceAtOnce) {
  for (const size_t size : kSizes) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    ExpectReport(Line("free", block, kDoubleFree), [block] {
      hak_free(block);
      hak_free(Opaque(block));
    });
    ExpectReport(Line(kFreeSized, block, kDoubleFree), [block] {
      hak_free(block);
      hak_free_sized(Opaque(block), 1);
    });
    ExpectReport(Line(kReallocToZero, block, kDoubleFree), [block] {
      hak_free(block);
      (void)!hak_realloc(Opaque(block), 0);
    });
    hak_free(block);
  }
}

TEST(BoxTest, AlignedBlocksFreedTwice) {
  for (const size_t alignment : {64, 1024}) {
    unsigned char *const block = static_cast<unsigned char *>(hak_aligned_alloc(alignment, alignment - 1));
    ASSERT_NE(nullptr, block);
    ExpectReport(Line("free", block, kDoubleFree), [block] {
      hak_free(block);
      hak_free(Opaque(block));
    });
    hak_free(block);
  }
}

// The first time so long ago that the block is in the list, in the spare chain, in the pool, or in its slab.
TEST(BoxTest, FreedTwiceAfterOtherFrees) {
  for (const size_t size : {size_t{40}, size_t{5000}}) {
    for (const size_t others : {1, 3, 130, 300, 6000}) {
      if (size * others > kMiB * 4) continue;
      SCOPED_TRACE(OfSize(size) + ", then " + std::to_string(others) + " others");
      std::vector<unsigned char *> blocks;
      for (size_t i = 0; i < others + 2; ++i) blocks.push_back(Allocate(size));
      unsigned char *const block = blocks[others / 2];
      ExpectReport(Line("free", block, kDoubleFree), [&] {
        hak_free(block);
        for (size_t i = 0; i < others; ++i) {
          if (blocks[i] != block) hak_free(blocks[i]);
        }
        hak_free(Opaque(block));
      });
      ExpectReport(Line("free", block, kDoubleFree), [&] {
        // Its neighbours stay, so its slab does.
        hak_free(block);
        hak_trim(0);
        hak_free(Opaque(block));
      });
      for (unsigned char *each : blocks) hak_free(each);
    }
  }
}

TEST(BoxTest, FreedTwiceByTwoThreads) {
  for (const size_t size : kSizes) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size), *const neighbour = Allocate(size);
    ExpectReport(Line("free", block, kDoubleFree), [block] {
      hak_free(block);
      std::thread([block] { hak_free(Opaque(block)); }).join();
    });
    ExpectReport(Line("free", block, kDoubleFree), [block] {
      // This thread ends before, and what it had is in the pool.
      std::thread([block] { hak_free(block); }).join();
      hak_free(Opaque(block));
    });
    ExpectReport(Line("free", block, kDoubleFree), [block] {
      std::thread([block] {
        hak_free(block);
        std::thread([block] { hak_free(Opaque(block)); }).join();
      }).join();
    });
    hak_free(block);
    hak_free(neighbour);
  }
}

TEST(BoxTest, FreedAfterReallocMovedIt) {
  unsigned char *const block = Allocate(100);
  ExpectReport(Line("free", block, kDoubleFree), [block] {
    void *const moved = hak_realloc(block, 1000);
    if (moved == block) ChildFails("it did not move");
    hak_free(Opaque(block));
  });
  ExpectReport(Line(kIsBox ? "realloc" : "free", block, kDoubleFree), [block] {
    hak_free(block);
    (void)!hak_realloc(Opaque(block), 1000);  // the checked level frees the block after it has moved it
  });
  hak_free(block);
}

#endif  // HAK_TEST_EXPECTED_CHECKS > 0

// ---- A handler that returns -----------------------------------------------------------------------------------------

struct Handled {
  size_t calls;
  enum hak_misuse_kind kind;
  const void *pointer;
} handled;

void Handle(const struct hak_misuse *misuse) {
  if (misuse->size < sizeof *misuse || misuse->message == nullptr) ChildFails("a report that is not whole");
  handled = {handled.calls + 1, misuse->kind, misuse->pointer};
}

// The call reports this once, and the heap is as it was before.
template <typename Call>
void ExpectIgnored(enum hak_misuse_kind kind, const void *pointer, Call call) {
  const hak_statistics before = Statistics();
  const size_t calls = handled.calls;
  call();
  if (handled.calls != calls + 1) ChildFails("%zu reports instead of one", handled.calls - calls);
  if (handled.kind != kind) ChildFails("a report of kind %d instead of %d", handled.kind, kind);
  if (handled.pointer != pointer) ChildFails("a report about %p instead of %p", handled.pointer, pointer);
  const hak_statistics after = Statistics();
  if (memcmp(&before, &after, sizeof before) != 0) ChildFails("a call that was ignored changed the statistics");
  struct hak_misuse violation;
  if (hak_check_heap(&violation) != 0) ChildFails("afterwards the heap is wrong: %s", violation.message);
}

TEST(BoxTest, AHandlerThatReturnsMakesTheCallDoNothing) {
  ExpectQuiet([] {
    if (hak_set_misuse_handler(Handle) != nullptr) ChildFails("there was a handler before");
    unsigned char *const block = Allocate(100), *const large = Allocate(100000);
    void *const foreign = Opaque(&global_with_a_value);
    ExpectIgnored(HAK_MISUSE_INVALID_POINTER, foreign, [=] { hak_free(foreign); });
    ExpectIgnored(HAK_MISUSE_INVALID_POINTER, foreign, [=] {
      if (hak_realloc(foreign, 100) != nullptr) ChildFails("realloc of a foreign pointer gave a block");
    });
    ExpectIgnored(HAK_MISUSE_INVALID_POINTER, foreign, [=] {
      if (hak_usable_size(foreign) != 0) ChildFails("a foreign pointer has usable bytes");
    });
    ExpectIgnored(kIsBox ? HAK_MISUSE_INTERIOR_POINTER : HAK_MISUSE_INVALID_POINTER, large + 16,
                  [=] { hak_free(Opaque(large + 16)); });
    hak_free(large);
    ExpectIgnored(kIsBox ? HAK_MISUSE_DOUBLE_FREE : HAK_MISUSE_INVALID_POINTER, large,
                  [=] { hak_free(Opaque(large)); });
#if HAK_TEST_EXPECTED_CHECKS > 0
    const unsigned char header = block[-1];
    block[-1] = 'x';
    const size_t calls = handled.calls;
    hak_free(block);
    if (handled.calls != calls + 1) ChildFails("an overwritten header was not reported");
    block[-1] = header;
    if (hak_check_heap(nullptr) != 0) ChildFails("the heap is wrong, although the header is right again");
#endif
    hak_free(block);
#if HAK_TEST_EXPECTED_CHECKS > 0
    ExpectIgnored(HAK_MISUSE_DOUBLE_FREE, block, [=] { hak_free(Opaque(block)); });
#endif
    if (kIsBox) {
      ExpectIgnored(HAK_MISUSE_DOUBLE_FREE, block, [=] {
        if (hak_realloc(Opaque(block), 5000) != nullptr) ChildFails("realloc of a free block gave a block");
      });
      ExpectIgnored(HAK_MISUSE_USE_AFTER_FREE, block, [=] {
        if (hak_usable_size(Opaque(block)) != 0) ChildFails("a free block has usable bytes");
      });
    }
    if (hak_set_misuse_handler(nullptr) != Handle) ChildFails("the handler is not the one that was set");
  });
}

// A handler that frees the block whose call is under way: that call then finds it freed, and says so.
void *other_block;

void FreeOther(const struct hak_misuse *misuse) {
  Handle(misuse);
  void *const block = other_block;
  other_block = nullptr;
  if (block != nullptr) hak_free(block);
}

TEST(BoxTest, ABlockThatIsFreedWhileReallocMovesIt) {
  if (!kIsBox) return;
  for (const size_t size : {size_t{100}, size_t{100000}}) {
    SCOPED_TRACE(OfSize(size));
    ExpectQuiet([size] {
      hak_set_misuse_handler(FreeOther);
      // Of a class of its own, so many that the first ones leave their quarantine; all were written to.
      std::vector<unsigned char *> damaged(1000);
      for (unsigned char *&block : damaged) block = Allocate(6000);
      for (unsigned char *block : damaged) hak_free(block);
      other_block = nullptr;
      for (unsigned char *block : damaged) static_cast<unsigned char *>(Opaque(block))[3000] = 'x';
      // This may take slabs in which damaged blocks were.
      void *const block = Allocate(size);
      const size_t before = handled.calls;
      other_block = block;
      void *const moved = hak_realloc(block, 6000);
      if (handled.calls != before + 2) ChildFails("%zu reports instead of 2", handled.calls - before);
      if (handled.kind != HAK_MISUSE_DOUBLE_FREE || handled.pointer != block) ChildFails("another report");
      if (moved == nullptr || moved == block) ChildFails("it was not moved");
      hak_free(moved);
    });
  }
}

// free_aligned_sized with an alignment that every block has, of one that was asked for more; and the other way about.
TEST(BoxTest, FreedWithAnOrdinaryAlignment) {
  if (!kIsBox) return;
  void *const aligned = hak_aligned_alloc(64, 100), *const ordinary = Allocate(100);
  ASSERT_NE(nullptr, aligned);
  for (const size_t alignment : {size_t{8}, size_t{16}}) {
    const std::string kind =
        "the alignment is not the one that was asked for: " + std::to_string(alignment) + " instead of 64";
    ExpectReport(Line("free_aligned_sized", aligned, kind.c_str()),
                 [=] { hak_free_aligned_sized(aligned, alignment, 100); });
    ExpectQuiet([=] { hak_free_aligned_sized(ordinary, alignment, 100); });
  }
  hak_free(aligned);
  hak_free(ordinary);
}

}  // namespace
}  // namespace hak_test
