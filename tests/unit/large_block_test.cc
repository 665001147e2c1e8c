// SPDX-License-Identifier: Apache-2.0
//
// Blocks without a size class: sizes around every boundary, alignments, resizing, and that only their own pointer finds
// them: page_arena/large_block. Compiled twice: with the operating system's memory, and with HAK_TEST_FAKE_OS, where
// memory can be made to run out.

#include "allocator/page_arena/large_block.h"

#include <gtest/gtest.h>
#include <string.h>
#include <sys/mman.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "allocator/base/options.h"
#include "allocator/os/os.h"
#include "allocator/page_arena/page_arena.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"
#ifdef HAK_TEST_FAKE_OS
#include "allocator/os/os_memory_fake.h"
#endif

namespace {

using hak_test::FillPattern;
using hak_test::FirstNonZero;
using hak_test::FirstWrongByte;
using hak_test::IsAligned;
using hak_test::kKiB;
using hak_test::kMiB;
using hak_test::kNone;
using hak_test::Random;
using hak_test::Scaled;

// With the Box, what lies behind the requested size belongs to the checks, and before a block is a guard as long as its
// alignment, at least one line and at most a slab. Without it all that is usable may be used, and blocks begin some lines
// further on.
constexpr bool kIsBox = HAK_CHECKS_LEVEL == HAK_CHECKS_BOX;
constexpr size_t kOffsetMax = kIsBox ? HAK_SLAB_BYTES : 1024;

// The bytes of a block that may be written to.
size_t Writable(const char *user, size_t size) { return kIsBox ? size : large_block_usable(user); }

// Large blocks as they should be, and what the statistics must say of them.
class Blocks {
 public:
  char *Allocate(size_t size, size_t alignment, bool zero, uint64_t key) {
    char *const user = static_cast<char *>(large_block_allocate(size, alignment, zero));
    if (user == nullptr) return nullptr;
    EXPECT_TRUE(IsAligned(user, alignment)) << size << " bytes aligned to " << alignment;
    const size_t usable = large_block_usable(user);
    EXPECT_GE(usable, size);
    if (zero) EXPECT_EQ(kNone, FirstNonZero(user, Writable(user, size))) << size << " bytes";
    Enter(user, size, key);
    return user;
  }

  void Enter(char *user, size_t size, uint64_t key) {
    const size_t usable = large_block_usable(user);
    const auto next = blocks_.lower_bound(user);
    if (next != blocks_.end()) EXPECT_LE(user + usable, next->first) << "two blocks overlap";
    if (next != blocks_.begin()) EXPECT_LE(std::prev(next)->first + std::prev(next)->second.usable, user);
    blocks_[user] = {size, usable, key};
    usable_ += usable;
    const size_t writable = Writable(user, size);
    if (writable > 0) user[writable - 1] = 1;  // all of it
    FillPattern(user, size, key);
  }

  void Forget(char *user) {
    const Block block = blocks_.at(user);
    EXPECT_EQ(kNone, FirstWrongByte(user, block.size, block.key)) << block.size << " bytes";
    usable_ -= block.usable;
    blocks_.erase(user);
  }

  void Free(char *user) {
    Forget(user);
    EXPECT_TRUE(large_block_free(user));
  }

  // Returns where the block is then; nullptr if it was not resized, and is as it was.
  char *Resize(char *user, size_t size, uint64_t new_key) {
    const Block block = blocks_.at(user);
    const size_t kept = size < block.size ? size : block.size;
    char *const resized = static_cast<char *>(large_block_resize(user, size));
    if (resized == nullptr) {
      EXPECT_EQ(block.usable, large_block_usable(user)) << "not resized, but changed";
      EXPECT_EQ(kNone, FirstWrongByte(user, block.size, block.key));
      return nullptr;
    }
    EXPECT_EQ(kNone, FirstWrongByte(resized, kept, block.key)) << "from " << block.size << " to " << size << " bytes";
    EXPECT_GE(large_block_usable(resized), size);
    EXPECT_TRUE(IsAligned(resized, 16));
    if (resized != user) EXPECT_EQ(0u, large_block_usable(user)) << "the old place is still a block";
    usable_ -= block.usable;
    blocks_.erase(user);
    Enter(resized, size, new_key);
    return resized;
  }

  void ExpectStatistics() const {
    struct page_arena_statistics statistics;
    page_arena_read_statistics(&statistics);
    EXPECT_EQ(blocks_.size(), statistics.large_blocks);
    EXPECT_EQ(usable_, statistics.large_usable_bytes);
    EXPECT_GE(statistics.large_bytes, usable_);
    EXPECT_LE(statistics.large_bytes - usable_, kOffsetMax * blocks_.size())
        << "only the first bytes of a run are not usable";
  }

  void FreeEverything() {
    while (!blocks_.empty()) Free(blocks_.begin()->first);
    ExpectStatistics();
    struct page_arena_statistics statistics;
    page_arena_read_statistics(&statistics);
    EXPECT_EQ(0u, statistics.large_bytes);
  }

  size_t size() const { return blocks_.size(); }
  char *At(size_t index) const { return std::next(blocks_.begin(), static_cast<ptrdiff_t>(index))->first; }
  size_t SizeOf(char *user) const { return blocks_.at(user).size; }

 private:
  struct Block {
    size_t size, usable;
    uint64_t key;
  };
  std::map<char *, Block> blocks_;
  size_t usable_ = 0;
};

// Sizes at which something changes.
std::vector<size_t> Sizes() {
  std::vector<size_t> sizes = {0, 1, 15, 4096, 32769};
  for (const size_t boundary :
       {HAK_SLAB_BYTES, 2 * HAK_SLAB_BYTES, 16 * HAK_SLAB_BYTES, HAK_SUPERSLAB_BYTES - HAK_SLAB_BYTES,
        HAK_SUPERSLAB_BYTES, HAK_SUPERSLAB_BYTES + HAK_SLAB_BYTES, 2 * HAK_SUPERSLAB_BYTES, 3 * HAK_SUPERSLAB_BYTES}) {
    for (const size_t size : {boundary - 1024, boundary - 64, boundary - 1, boundary, boundary + 1, boundary + 64}) {
      sizes.push_back(size);
    }
  }
  return sizes;
}

FRESH_TEST(LargeBlockTest, EverySizeAroundTheBoundaries) {
  ASSERT_TRUE(page_arena_initialize());
  Blocks blocks;
  uint64_t key = 0;
  for (const bool zero : {false, true}) {
    for (const size_t size : Sizes()) ASSERT_NE(nullptr, blocks.Allocate(size, 16, zero, ++key)) << size;
    blocks.ExpectStatistics();
    while (blocks.size() > 5) blocks.Free(blocks.At(key++ % blocks.size()));
  }
  blocks.FreeEverything();
}

FRESH_TEST(LargeBlockTest, EveryAlignment) {
  ASSERT_TRUE(page_arena_initialize());
  Blocks blocks;
  uint64_t key = 0;
  for (size_t alignment = 16; alignment <= 64 * kMiB; alignment *= 2) {
    for (const size_t size :
         {size_t{1}, size_t{100}, 40 * kKiB, 64 * kKiB, 65 * kKiB, 2 * kMiB, 2 * kMiB + 1, 5 * kMiB}) {
      ++key;
      ASSERT_NE(nullptr, blocks.Allocate(size, alignment, key % 2 == 0, key)) << size << " aligned to " << alignment;
    }
    blocks.ExpectStatistics();
    if (alignment % 3 == 1) blocks.FreeEverything();
  }
  blocks.FreeEverything();
}

FRESH_TEST(LargeBlockTest, ImpossibleSizesAndAlignments) {
  ASSERT_TRUE(page_arena_initialize());
  for (const size_t size :
       {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - HAK_SLAB_BYTES, SIZE_MAX / 2, HAK_WINDOW_MAX_BYTES + 1, size_t{1} << 63}) {
    EXPECT_EQ(nullptr, large_block_allocate(size, 16, false)) << size;
    EXPECT_EQ(nullptr, large_block_allocate(size, 16, true)) << size;
    EXPECT_EQ(nullptr, large_block_allocate(size, 4 * kMiB, false)) << size;
  }
  EXPECT_EQ(nullptr, large_block_allocate(1, size_t{1} << 63, false));
  EXPECT_EQ(nullptr, large_block_allocate(1, size_t{1} << 42, false));
  for (const size_t size : {100 * kKiB, 5 * kMiB}) {
    Blocks blocks;
    char *const user = blocks.Allocate(size, 16, false, 1);
    ASSERT_NE(nullptr, user);
    for (const size_t too_much : {SIZE_MAX, SIZE_MAX - 5000, SIZE_MAX / 2, HAK_WINDOW_MAX_BYTES + 1}) {
      EXPECT_EQ(nullptr, blocks.Resize(user, too_much, 2)) << too_much;
    }
    blocks.FreeEverything();
  }
}

// Not even a pointer that is off by one may be taken for a block.
void ExpectFoundAt(char *user, size_t size) {
  const size_t usable = large_block_usable(user);
  ASSERT_GE(usable, size);
  std::vector<char *> others = {user - 1,  user + 1,  user - 16,         user + 16,
                                user + 64, user - 64, user + usable - 1, user + usable};
  const uintptr_t address = reinterpret_cast<uintptr_t>(user);
  others.push_back(reinterpret_cast<char *>(address & ~uintptr_t{HAK_SLAB_BYTES - 1}));
  for (size_t offset = HAK_SLAB_BYTES; offset < usable; offset += HAK_SLAB_BYTES) {
    others.push_back(user + offset);
    others.push_back(reinterpret_cast<char *>((address & ~uintptr_t{HAK_SLAB_BYTES - 1}) + offset));
  }
  for (char *other : others) {
    if (other == user) continue;
    EXPECT_EQ(0u, large_block_usable(other)) << "offset " << other - user << " in a block of " << size;
    EXPECT_FALSE(large_block_free(other)) << "offset " << other - user << " in a block of " << size;
  }
}

FRESH_TEST(LargeBlockTest, OnlyTheBlocksOwnPointerFindsIt) {
  ASSERT_TRUE(page_arena_initialize());
  Blocks blocks;
  for (const size_t size :
       {32769 * size_t{1}, 60 * kKiB, 64 * kKiB, 200 * kKiB, kMiB, 2 * kMiB, 2 * kMiB + 1, 7 * kMiB}) {
    for (int i = 0; i < 3; ++i) {
      char *const user = blocks.Allocate(size, 16, false, size);
      ASSERT_NE(nullptr, user);
      ExpectFoundAt(user, size);
      blocks.ExpectStatistics();
      if (i == 2) {
        blocks.Free(user);
        EXPECT_EQ(0u, large_block_usable(user));
        EXPECT_FALSE(large_block_free(user)) << "freed twice";
      }
    }
  }
  blocks.ExpectStatistics();
  EXPECT_EQ(0u, large_block_usable(nullptr));
  EXPECT_FALSE(large_block_free(nullptr));
  int on_stack;
  EXPECT_FALSE(large_block_free(&on_stack));
  EXPECT_FALSE(large_block_free(reinterpret_cast<void *>(UINTPTR_MAX)));
  blocks.FreeEverything();
}

// Blocks of a size class lie in runs, too; they are no large blocks.
FRESH_TEST(LargeBlockTest, RunsOfAClassAreNoLargeBlocks) {
  ASSERT_TRUE(page_arena_initialize());
  bool zeroed;
  struct slab *const run = page_arena_take_run(2, 30, &zeroed);
  ASSERT_NE(nullptr, run);
  for (const size_t offset : {size_t{0}, size_t{run->first_offset}, HAK_SLAB_BYTES}) {
    EXPECT_EQ(0u, large_block_usable(reinterpret_cast<void *>(run->address + offset)));
    EXPECT_FALSE(large_block_free(reinterpret_cast<void *>(run->address + offset)));
  }
}

// Memory that held something is zeroed where zeroes are asked for, also at the very end of the block.
FRESH_TEST(LargeBlockTest, ZeroAfterUse) {
  ASSERT_TRUE(page_arena_initialize());
  Blocks blocks;
  for (const size_t size : {40 * kKiB, 64 * kKiB, 300 * kKiB, 2 * kMiB, 3 * kMiB, 8 * kMiB}) {
    for (int round = 0; round < 3; ++round) {
      char *const dirty = blocks.Allocate(size, 16, false, 1);
      ASSERT_NE(nullptr, dirty);
      memset(dirty + size, 0xFF, Writable(dirty, size) - size);
      blocks.Free(dirty);
      if (round == 2) page_arena_purge_all();
      char *const zero = blocks.Allocate(size, 16, true, 2);  // looks at every byte
      ASSERT_NE(nullptr, zero);
      blocks.Free(zero);
    }
  }
}

// The kernel's zeroes are enough: writing them again would make every page of a large array resident that nobody uses.
FRESH_TEST(LargeBlockTest, FreshMemoryIsNotZeroedAgain) {
  ASSERT_TRUE(page_arena_initialize());
  const size_t size = size_t{1} << 30, page = os_page_size();
  char *const user = static_cast<char *>(large_block_allocate(size, HAK_SLAB_BYTES, true));
  ASSERT_NE(nullptr, user);
  std::vector<unsigned char> residence(kMiB / page);
  for (size_t offset = 0; offset < size; offset += size / 4) {
    ASSERT_EQ(0, mincore(user + offset, kMiB, residence.data()));
    for (const unsigned char resident : residence) ASSERT_EQ(0, resident & 1) << "near " << offset;
  }
  EXPECT_TRUE(large_block_free(user));
}

FRESH_TEST(LargeBlockTest, RunsGrowAndShrinkInPlace) {
  ASSERT_TRUE(page_arena_initialize());
  Blocks blocks;
  char *const user = blocks.Allocate(100 * kKiB, 16, false, 1);
  ASSERT_NE(nullptr, user);
  EXPECT_EQ(user, blocks.Resize(user, 200 * kKiB, 2));
  blocks.ExpectStatistics();
  char *const blocker = blocks.Allocate(40 * kKiB, 16, false, 3);
  ASSERT_NE(nullptr, blocker);
  EXPECT_EQ(nullptr, blocks.Resize(user, kMiB, 4)) << "something lies behind it";
  EXPECT_EQ(user, blocks.Resize(user, 33 * kKiB, 5));
  EXPECT_LT(large_block_usable(user), 128 * kKiB) << "the rest was not given back";
  blocks.ExpectStatistics();
  blocks.Free(blocker);
  EXPECT_EQ(user, blocks.Resize(user, kMiB, 6));
  EXPECT_EQ(nullptr, blocks.Resize(user, 3 * kMiB, 7)) << "a run ends with its superslab";
  blocks.ExpectStatistics();
  blocks.FreeEverything();
}

FRESH_TEST(LargeBlockTest, SpansGrowShrinkAndMove) {
  ASSERT_TRUE(page_arena_initialize());
  Blocks blocks;
  char *user = blocks.Allocate(5 * kMiB, 16, false, 1);
  ASSERT_NE(nullptr, user);
  EXPECT_EQ(user, blocks.Resize(user, 9 * kMiB, 2));
  EXPECT_EQ(user, blocks.Resize(user, 3 * kMiB, 3));
  EXPECT_LE(large_block_usable(user), 4 * kMiB);
  blocks.ExpectStatistics();
  for (size_t size = 10; size <= 80; size *= 2) {
    char *const blocker = blocks.Allocate(4 * kMiB, 16, false, 4);
    ASSERT_NE(nullptr, blocker);
    char *const moved = blocks.Resize(user, size * kMiB, size);
    ASSERT_NE(nullptr, moved) << "a span that cannot grow moves to " << size << " MiB";
    user = moved;
    blocks.ExpectStatistics();
  }
  EXPECT_EQ(nullptr, blocks.Resize(user, 500 * kKiB, 99)) << "much smaller: it is up to the caller to copy it";
  blocks.FreeEverything();
}

// Frees, allocates and resizes at random; the pattern in every block shows whether one was written to or lost.
FRESH_TEST(LargeBlockTest, AtRandom) {
  ASSERT_TRUE(page_arena_initialize());
  const uint64_t seed = hak_test::FirstSeed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  Blocks blocks;
  options.purge_delay_ms = 0;
  const size_t steps = Scaled(300);
  for (size_t step = 1; step <= steps; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const size_t size = random.OneIn(4) ? random.Between(kMiB, 8 * kMiB) : random.Between(30 * kKiB, 400 * kKiB);
    if (blocks.size() < 2 || (blocks.size() < 25 && random.OneIn(3))) {
      const size_t alignment = random.OneIn(4) ? size_t{16} << random.Below(19) : 16;
      ASSERT_NE(nullptr, blocks.Allocate(size, alignment, random.OneIn(3), step));
    } else if (random.OneIn(2)) {
      blocks.Free(blocks.At(random.Below(blocks.size())));
    } else {
      char *const user = blocks.At(random.Below(blocks.size()));
      blocks.Resize(user, random.OneIn(2) ? size : blocks.SizeOf(user) + random.Between(0, 100 * kKiB), step);
    }
    if (step % 10 == 0) blocks.ExpectStatistics();
    if (::testing::Test::HasFatalFailure()) return;
  }
  blocks.FreeEverything();
}

FRESH_TEST(LargeBlockTest, ShrinkingGivesBackWhereNothingIsToBeKept) {
  options.purge_delay_ms = 0;
  ASSERT_TRUE(page_arena_initialize());
  Blocks blocks;
  char *const user = blocks.Allocate(40 * kMiB, 16, false, 1);
  ASSERT_NE(nullptr, user);
  ASSERT_EQ(user, blocks.Resize(user, 3 * kMiB, 2));
  struct page_arena_statistics statistics;
  page_arena_read_statistics(&statistics);
  EXPECT_EQ(0u, statistics.dirty_bytes);
  blocks.Free(user);
  page_arena_read_statistics(&statistics);
  EXPECT_EQ(0u, statistics.dirty_bytes);
}

// Pointers that are no large block's are left to the caller, who knows what else they may be.
FRESH_TEST(LargeBlockTest, OnlyBlocksAreResized) {
  ASSERT_TRUE(page_arena_initialize());
  Blocks blocks;
  char *const run = blocks.Allocate(100 * kKiB, 16, false, 1);
  char *const span = blocks.Allocate(5 * kMiB, 16, false, 2);
  int on_the_stack = 0;
  for (void *pointer : {static_cast<void *>(&on_the_stack), static_cast<void *>(run + 16),
                        static_cast<void *>(span + 16), static_cast<void *>(span + 3 * kMiB)}) {
    EXPECT_EQ(nullptr, large_block_resize(pointer, 200 * kKiB));
    EXPECT_FALSE(large_block_keep(pointer, 50 * kKiB));
  }
  blocks.ExpectStatistics();
  blocks.FreeEverything();
}

// What a block is when it could not be moved to a smaller place: as small as it gets where it is.
FRESH_TEST(LargeBlockTest, ABlockIsKept) {
  if (!kIsBox) return;  // the others move what they cannot keep as it is
  ASSERT_TRUE(page_arena_initialize());
  for (const size_t size : {size_t{3} * kMiB, kMiB + 300 * kKiB, 50 * kKiB, size_t{1}}) {
    SCOPED_TRACE(std::to_string(size) + " bytes");
    char *const user = static_cast<char *>(large_block_allocate(8 * kMiB, 16, false));
    ASSERT_NE(nullptr, user);
    FillPattern(user, 8 * kMiB, size);
    ASSERT_TRUE(large_block_keep(user, size));
    EXPECT_EQ(kNone, FirstWrongByte(user, size, size));
    const size_t usable = large_block_usable(user);
    EXPECT_GE(usable, size);
    EXPECT_LE(usable, (size + 2 * kMiB - 1) / (2 * kMiB) * (2 * kMiB))
        << "whole superslabs behind it were not given back";
    struct large_place place;
    ASSERT_TRUE(large_block_find(reinterpret_cast<uintptr_t>(user), &place));
    EXPECT_EQ(usable - size, large_block_record(&place)->slack);
    EXPECT_FALSE(large_block_keep(user, usable + 1)) << "it has no room for that";
    EXPECT_EQ(usable, large_block_usable(user));
    EXPECT_TRUE(large_block_free(user));
  }
  Blocks().ExpectStatistics();
}

// Records of free slabs still name the block that was last in them, and only where it began; never used ones name none.
FRESH_TEST(LargeBlockTest, WhatWasFreedIsFound) {
  ASSERT_TRUE(page_arena_initialize());
  struct large_place place;
  char *const run = static_cast<char *>(large_block_allocate(100 * kKiB, 16, false));
  char *const kept = static_cast<char *>(large_block_allocate(40 * kKiB, 16, false));
  char *const span = static_cast<char *>(large_block_allocate(5 * kMiB, 16, false));
  ASSERT_NE(nullptr, span);
  const uintptr_t run_address = reinterpret_cast<uintptr_t>(run), span_address = reinterpret_cast<uintptr_t>(span);
  ASSERT_NE(nullptr, registry_find_superslab(run_address));
  const uintptr_t last_slab = registry_find_superslab(run_address)->address + HAK_SUPERSLAB_BYTES - HAK_SLAB_BYTES;
  for (const uintptr_t address : {run_address, span_address, last_slab, last_slab + 64, uintptr_t{16}}) {
    EXPECT_FALSE(large_block_find_freed(address, &place)) << "nothing was freed yet";
  }
  EXPECT_TRUE(large_block_free(run));
  EXPECT_TRUE(large_block_free(span));
  // Only the Box marks what it frees.
  for (const uintptr_t address : {run_address, span_address}) {
    EXPECT_EQ(kIsBox, large_block_find_freed(address, &place));
    EXPECT_FALSE(large_block_find_freed(address + 16, &place));
  }
  EXPECT_FALSE(large_block_find_freed(last_slab, &place));
  EXPECT_FALSE(large_block_find_freed(reinterpret_cast<uintptr_t>(kept), &place));
}

FRESH_TEST(LargeBlockTest, ThreadsDoNotMeet) {
  ASSERT_TRUE(page_arena_initialize());
  std::vector<std::thread> threads;
  for (uint64_t thread = 1; thread <= 4; ++thread) {
    threads.emplace_back([thread] {
      Random random(thread);
      std::map<char *, size_t> own;
      for (size_t round = 0; round < Scaled(300); ++round) {
        if (own.size() < 6 && random.OneIn(2)) {
          const size_t size =
              random.OneIn(8) ? random.Between(2 * kMiB, 4 * kMiB) : random.Between(33 * kKiB, 200 * kKiB);
          char *const user = static_cast<char *>(large_block_allocate(size, 16, false));
          ASSERT_NE(nullptr, user);
          memset(user, static_cast<int>(thread), 256);
          user[size - 1] = static_cast<char>(thread);
          own[user] = size;
        } else if (!own.empty()) {
          const auto block = std::next(own.begin(), static_cast<ptrdiff_t>(random.Below(own.size())));
          char *user = block->first;
          size_t size = block->second;
          own.erase(block);
          ASSERT_EQ(static_cast<char>(thread), user[255]);
          ASSERT_EQ(static_cast<char>(thread), user[size - 1]);
          char *const resized = static_cast<char *>(large_block_resize(user, size + 70 * kKiB));
          if (resized != nullptr) {
            ASSERT_EQ(static_cast<char>(thread), resized[size - 1]);
            user = resized;
          }
          ASSERT_TRUE(large_block_free(user));
        }
      }
      for (const auto &[user, size] : own) ASSERT_TRUE(large_block_free(user));
    });
  }
  for (std::thread &thread : threads) thread.join();
  Blocks().ExpectStatistics();
}

#ifdef HAK_TEST_FAKE_OS

FRESH_TEST(LargeBlockTest, WithoutMemoryNothingChanges) {
  ASSERT_TRUE(page_arena_initialize());
  Blocks blocks;
  char *const run = blocks.Allocate(100 * kKiB, 16, false, 1);
  char *const span = blocks.Allocate(5 * kMiB, 16, false, 2);
  char *const blocker = blocks.Allocate(3 * kMiB, 16, false, 3);
  ASSERT_NE(nullptr, blocker);
  os_fake_fail(OS_FAKE_MAP_AT, 0, SIZE_MAX);
  EXPECT_EQ(nullptr, blocks.Allocate(3 * kMiB, 16, true, 4));
  EXPECT_EQ(nullptr, blocks.Allocate(2 * kMiB, 16, true, 4));
  EXPECT_EQ(nullptr, blocks.Allocate(100, 8 * kMiB, true, 4));
  EXPECT_EQ(nullptr, blocks.Resize(span, 50 * kMiB, 5)) << "there is nowhere to move it";
  EXPECT_EQ(nullptr, blocks.Resize(run, 5 * kMiB, 5));
  blocks.ExpectStatistics();
  EXPECT_NE(nullptr, blocks.Allocate(kMiB, 16, true, 6)) << "for this there is still room";
  os_fake_reset();
  EXPECT_NE(nullptr, blocks.Resize(span, 50 * kMiB, 7));
  blocks.FreeEverything();
  EXPECT_EQ(0u, os_fake_errors());
}

#endif  // HAK_TEST_FAKE_OS

}  // namespace
