// SPDX-License-Identifier: Apache-2.0
//
// Handlers that use the heap and return, while the Box reports that free memory was written to: the heap is whole before, in
// and after the handler, no block is handed out twice, none is lost, and each damage is reported once: thread_cache/box,
// thread_cache/thread_cache, page_arena/page_arena, api/box_api.

#include <functional>
#include <set>
#include <thread>

#include "tests/unit/misuse_support.h"

namespace hak_test {
namespace {

// More blocks than a quarantine keeps.
constexpr size_t kMany = 200;

// What the program has, in a child; in no memory of hakmem's.
std::set<unsigned char *> live;

unsigned char *Note(void *pointer, size_t size) {
  unsigned char *const block = static_cast<unsigned char *>(pointer);
  if (block == nullptr) ChildFails("no memory");
  if (!live.insert(block).second) ChildFails("%p is handed out twice", pointer);
  if (hak_usable_size(block) != size) ChildFails("%p has %zu usable bytes", pointer, hak_usable_size(block));
  memset(block, 0x5A, size);
  return block;
}

unsigned char *Take(size_t size) { return Note(hak_malloc(size), size); }

void Give(unsigned char *block) {
  const size_t size = hak_usable_size(block);
  for (size_t i = 0; i < size; ++i) {
    if (block[i] != 0x5A) ChildFails("byte %zu of %p changed while it was the program's", i, block);
  }
  live.erase(block);
  hak_free(block);
}

// A handler may be called meanwhile, and give some of them, or take more.
void GiveAll() {
  while (!live.empty()) Give(*live.begin());
}

// What the handler does, and what it found.
struct Handled {
  size_t expected;  // so many reports; after the last the heap is whole
  size_t calls;
  std::function<void()> body;
} handled;

void ExpectWholeHeap(const char *when) {
  struct hak_misuse violation;
  if (hak_check_heap(&violation) == 0) return;
  if (handled.calls < handled.expected && violation.kind == HAK_MISUSE_WRITE_AFTER_FREE) return;
  ChildFails("%s the heap is wrong: %s, block %p, offset %td, state %d", when, violation.message, violation.block,
             violation.offset, violation.state);
}

void Handle(const struct hak_misuse *misuse) {
  ++handled.calls;
  if (misuse->kind != HAK_MISUSE_WRITE_AFTER_FREE && misuse->kind != HAK_MISUSE_UNDERFLOW)
    ChildFails("another report: %s", misuse->message);
  ExpectWholeHeap("at the start of the handler");
  handled.body();
  ExpectWholeHeap("at the end of the handler");
}

void UseHeap(size_t size) {
  std::vector<unsigned char *> blocks;
  for (int i = 0; i < 5; ++i) blocks.push_back(Take(size));
  blocks.push_back(Note(hak_calloc(1, size), size));
  blocks.push_back(Note(hak_aligned_alloc(16, size), size));
  blocks.push_back(Take(100000));
  blocks.push_back(Note(hak_realloc(hak_malloc(10), size), size));
  // One stays: the others go in the order in which they came.
  for (size_t i = 1; i < blocks.size(); ++i) Give(blocks[i]);
}

// One handler for each kind of use. The heap is whole after body, the handler was called reports times, and all that the
// program had it can give back.
void ExpectWholeWithHandlers(size_t size, size_t reports, const std::function<void()> &body) {
  const std::function<void()> handlers[] = {
      [] {},
      [size] { UseHeap(size); },
      [] { hak_trim(0); },
      [size] {
        UseHeap(size);
        hak_trim(0);
        UseHeap(size);
      },
      GiveAll,
      [size] {
        // More than are in quarantine and in the list.
        std::vector<unsigned char *> blocks;
        for (size_t i = 0; i < kMany / 2; ++i) blocks.push_back(Take(size));
        for (unsigned char *block : blocks) {
          if (live.count(block) != 0) Give(block);
        }
      },
  };
  for (const std::function<void()> &handler : handlers) {
    SCOPED_TRACE(OfSize(size) + ", handler " + std::to_string(&handler - handlers));
    ExpectQuiet([&] {
      handled = {reports, 0, handler};
      hak_set_misuse_handler(Handle);
      const size_t before = Statistics().live_bytes;
      body();
      if (handled.calls != handled.expected) ChildFails("%zu reports instead of %zu", handled.calls, handled.expected);
      ExpectWholeHeap("after the handler");
      for (size_t i = 0; i < 3 * kMany; ++i) Take(size);
      GiveAll();
      ExpectWholeHeap("at the end");
      hak_trim(0);
      ExpectWholeHeap("after a trim");
      if (handled.calls != handled.expected) ChildFails("%zu reports too many", handled.calls - handled.expected);
      if (Statistics().live_bytes != before) ChildFails("blocks were lost");
    });
  }
}

void Damage(unsigned char *block, ptrdiff_t offset) { static_cast<unsigned char *>(Opaque(block))[offset] ^= 1; }

// A block that was freed, and so many others that it has left its quarantine for the list of its class.
unsigned char *InList(size_t size) {
  std::vector<unsigned char *> others;
  for (size_t i = 0; i < kMany; ++i) others.push_back(Take(size));
  unsigned char *const block = Take(size);
  Give(block);
  for (unsigned char *other : others) Give(other);
  return block;
}

constexpr size_t kTested[] = {1, 100, 5000};

// ---- Blocks of size classes -----------------------------------------------------------------------------------------

TEST(BoxHandlerTest, MallocFindsABlockInQuarantine) {
  for (const size_t size : kTested) {
    for (const ptrdiff_t offset : {-1, 0, 9}) {
      ExpectWholeWithHandlers(size, 1, [=] {
        unsigned char *const block = Take(size), *const before = Take(size);
        Give(block);
        Damage(block, offset);
        for (size_t i = 0; i < kMany; ++i) Give(Take(size));
        if (live.count(before) != 0) Give(before);
      });
      if (HasFailure()) return;
    }
  }
}

TEST(BoxHandlerTest, AnAllocationFindsABlockInAList) {
  const std::function<void *(size_t)> functions[] = {hak_malloc, [](size_t size) { return hak_calloc(1, size); },
                                                     [](size_t size) { return hak_aligned_alloc(16, size); }};
  for (const auto &allocate : functions) {
    for (const size_t size : kTested) {
      for (const ptrdiff_t offset : {-1, 0, 9}) {
        ExpectWholeWithHandlers(size, 1, [&, size, offset] {
          Damage(InList(size), offset);
          for (size_t i = 0; i < 2 * kMany; ++i) Note(allocate(size), size);
        });
        if (HasFailure()) return;
      }
    }
  }
}

// Each is reported once, whatever the handler allocates.
TEST(BoxHandlerTest, ManyBlocksThatWereWrittenTo) {
  ExpectWholeWithHandlers(100, kMany, [] {
    std::vector<unsigned char *> blocks;
    for (size_t i = 0; i < kMany; ++i) blocks.push_back(Take(100));
    for (unsigned char *block : blocks) Give(block);
    for (unsigned char *block : blocks) Damage(block, 50);
    // Those in quarantine, and then those in lists or, after a trim, in their slab.
    for (size_t i = 0; i < 2 * kMany; ++i) Give(Take(100));
    for (size_t i = 0; i < 100 * kMany && handled.calls < kMany; ++i) Take(100);
  });
}

TEST(BoxHandlerTest, ABlockThatLeavesItsQuarantine) {
  for (const size_t size : kTested) {
    ExpectWholeWithHandlers(size, 1, [=] {
      unsigned char *const block = Take(size);
      Take(size);
      Give(block);
      for (size_t i = 0; i < 9; ++i) Damage(block, i);
      hak_trim(0);
    });
    if (HasFailure()) return;
    ExpectWholeWithHandlers(size, 1, [=] {
      std::vector<unsigned char *> blocks;
      for (size_t i = 0; i < kMany; ++i) blocks.push_back(Take(size));
      Give(blocks[0]);
      Damage(blocks[0], 0);
      for (size_t i = 1; i < blocks.size() && live.count(blocks[i]) != 0; ++i) Give(blocks[i]);
      hak_trim(0);
    });
    if (HasFailure()) return;
  }
}

// The whole slab goes back, with blocks in it that were written to.
TEST(BoxHandlerTest, BlocksInASlab) {
  for (const size_t size : kTested) {
    ExpectWholeWithHandlers(size, 3, [=] {
      std::vector<unsigned char *> blocks;
      for (size_t i = 0; i < 4; ++i) blocks.push_back(Take(size));
      for (size_t i = 0; i < 3; ++i) Give(blocks[i]);
      hak_trim(0);
      Damage(blocks[0], 9);
      Damage(blocks[1], 0);
      Damage(blocks[2], 9);
      Give(blocks[3]);
      hak_trim(0);
    });
    if (HasFailure()) return;
  }
}

TEST(BoxHandlerTest, ALargeBlockThatLeavesItsQuarantine) {
  for (const size_t size : {size_t{100000}, size_t{200000}}) {
    ExpectWholeWithHandlers(100, 1, [=] {
      unsigned char *const block = Take(size);
      Give(block);
      Damage(block, 50000);
      Give(Take(size));
      hak_trim(0);
    });
  }
}

// So many blocks are free that slabs go back while the thread gives its full list away.
TEST(BoxHandlerTest, SlabsThatGoBackWhileAListIsFull) {
  constexpr size_t kSize = 20000, kBlocks = 600, kStep = 7;
  ExpectWholeWithHandlers(kSize, kBlocks, [] {
    std::vector<unsigned char *> blocks;
    size_t damaged = 0;
    for (size_t i = 0; i < kBlocks; ++i) blocks.push_back(Take(kSize));
    for (size_t first = 0; first < kStep; ++first) {
      for (size_t i = first; i < kBlocks; i += kStep) {
        if (live.count(blocks[i]) == 0) continue;
        Give(blocks[i]);
        // A handler may have it already.
        if (live.count(blocks[i]) != 0) continue;
        Damage(blocks[i], 50);
        ++damaged;
      }
    }
    handled.expected = damaged;
    // What is left in slabs that a handler's blocks keep.
    for (size_t i = 0; i < 100 && handled.calls < damaged; ++i) {
      GiveAll();
      hak_trim(0);
    }
  });
}

// ---- The end of a thread --------------------------------------------------------------------------------------------

TEST(BoxHandlerTest, WhatAHandlerUsesWhileItsThreadEnds) {
  for (const size_t size : {size_t{2000}, size_t{20}}) {
    ExpectWholeWithHandlers(20, 21, [=] {
      for (size_t i = 0; i < 20; ++i) Take(20);
      Take(100000);
      for (size_t i = 0; i < 21; ++i) {
        std::thread([=] {
          unsigned char *const block = Take(size);
          Give(block);
          Damage(block, 0);
        }).join();
      }
    });
    if (HasFailure()) return;
  }
}

// ---- Memory in no block ---------------------------------------------------------------------------------------------

// A large block that is gone, and whose pages were given back; written to since.
void DamageFreeMemory(size_t size) {
  unsigned char *const block = Take(size);
  Give(block);
  hak_trim(0);
  Damage(block, static_cast<ptrdiff_t>(size / 2));
}

TEST(BoxHandlerTest, ASlabThatWasWrittenTo) {
  for (const size_t size : kTested) {
    ExpectWholeWithHandlers(size, 1, [=] {
      DamageFreeMemory(60000);
      for (size_t i = 0; i < 100 * kMany && handled.calls == 0; ++i) Take(size);
    });
    if (HasFailure()) return;
    ExpectWholeWithHandlers(size, 1, [=] {
      DamageFreeMemory(60000);
      for (size_t i = 0; i < 100 * kMany && handled.calls == 0; ++i) Note(hak_aligned_alloc(16, size), size);
    });
    if (HasFailure()) return;
  }
}

// The report is by SIGABRT, whose handler may use the heap too.
TEST(BoxHandlerTest, ASlabThatWasWrittenToAndASignalHandler) {
  const Outcome outcome = RunMisuse([] {
    signal(SIGABRT, [](int) {
      hak_free(hak_malloc(1000));
      _exit(7);
    });
    DamageFreeMemory(60000);
    for (size_t i = 0; i < kMany; ++i) (void)!hak_malloc(1000);
  });
  EXPECT_TRUE(WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 7) << DescribeStatus(outcome.status);
}

constexpr size_t kLarge[] = {100000, 1000000, 3 * kMiB, 20000000};

TEST(BoxHandlerTest, ALargeBlockInMemoryThatWasWrittenTo) {
  for (const size_t size : kLarge) {
    ExpectWholeWithHandlers(100, 1, [=] {
      DamageFreeMemory(size);
      Take(size);
    });
    if (HasFailure()) return;
  }
}

TEST(BoxHandlerTest, CallocIsZeroInMemoryThatWasWrittenTo) {
  for (const size_t size : kLarge) {
    ExpectWholeWithHandlers(100, 1, [=] {
      DamageFreeMemory(size);
      unsigned char *const block = static_cast<unsigned char *>(hak_calloc(1, size));
      if (block == nullptr) ChildFails("no memory");
      for (size_t i = 0; i < size; ++i) {
        if (block[i] != 0) ChildFails("byte %zu of calloc is %u", i, block[i]);
      }
      Note(block, size);
    });
    if (HasFailure()) return;
  }
}

// Where there is room behind it, realloc grows a block in place; otherwise it may move its pages.
TEST(BoxHandlerTest, ReallocGrowsIntoMemoryThatWasWrittenTo) {
  for (const size_t size : {size_t{100000}, size_t{1000000}, 3 * kMiB}) {
    for (const size_t factor : {2, 5}) {
      ExpectWholeWithHandlers(100, 1, [=] {
        unsigned char *const block = Take(size), *const behind = Take(size);
        Give(behind);
        hak_trim(0);
        Damage(behind, 100);
        live.erase(block);  // the handler must not free it
        unsigned char *const grown = static_cast<unsigned char *>(hak_realloc(block, factor * size));
        for (size_t i = 0; i < size; ++i) {
          if (grown[i] != 0x5A) ChildFails("byte %zu is %u after realloc", i, grown[i]);
        }
        Note(grown, factor * size);
        for (size_t i = 0; i < 20 && handled.calls == 0; ++i) Take(size);
      });
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace hak_test
