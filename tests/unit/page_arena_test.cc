// SPDX-License-Identifier: Apache-2.0
//
// Runs and spans one by one: that memory which is said to be zero is zero, which memory is preferred, what happens without
// memory, and threads: page_arena/page_arena.

#include "allocator/page_arena/page_arena.h"

#include <string>
#include <thread>
#include <vector>

#include "allocator/base/options.h"
#include "allocator/page_arena/large_block.h"
#include "allocator/page_arena/metadata.h"
#include "tests/unit/page_arena_support.h"

namespace hak_test {
namespace {

constexpr bool kIsBox = HAK_CHECKS_LEVEL == HAK_CHECKS_BOX;

// Every length of run at every place.
FRESH_TEST(PageArenaTest, RunsOfEveryLength) {
  ASSERT_TRUE(page_arena_initialize());
  bool zeroed;
  for (unsigned slabs = 1; slabs <= kSlabs; ++slabs) {
    std::vector<struct slab *> runs;
    for (unsigned i = 0; i < kSlabs / slabs; ++i) {
      struct slab *const run = page_arena_take_run(slabs, 3, &zeroed);
      ASSERT_NE(nullptr, run);
      EXPECT_EQ(i * slabs, run->number);
      EXPECT_EQ(slabs * HAK_SLAB_BYTES, slab_run_bytes(run));
      Stamp(run->address, slabs, slabs);
      runs.push_back(run);
    }
    EXPECT_EQ(1u, span_mapped_superslabs());
    for (struct slab *run : runs) {
      ExpectStamp(run->address, slabs, slabs);
      page_arena_give_run(run);
    }
    EXPECT_EQ(SUPERSLAB_FREE, registry.superslabs[0]->state);
  }
}

FRESH_TEST(PageArenaTest, FreshMemoryIsKnownToBeZeroAndUsedMemoryIsNot) {
  ASSERT_TRUE(page_arena_initialize());
  bool zeroed = false;
  struct slab *const run = page_arena_take_run(3, 0, &zeroed);
  EXPECT_TRUE(zeroed);
  page_arena_give_run(run);
  EXPECT_EQ(run, page_arena_take_run(3, 0, &zeroed));
  EXPECT_FALSE(zeroed);
  page_arena_give_run(run);
  EXPECT_EQ(3 * HAK_SLAB_BYTES, page_arena_purge_all());
  EXPECT_EQ(run, page_arena_take_run(4, 0, &zeroed));
  EXPECT_TRUE(zeroed) << "what was purged is zero again, and its neighbour has never been used";
  page_arena_give_run(run);

  struct superslab *const span = page_arena_take_span(2, 0);
  EXPECT_NE(kAllSlabs, span->zero_slabs) << "its first superslab has dirty slabs";
  EXPECT_EQ(kAllSlabs, span_next(span)->zero_slabs);
  page_arena_give_span(span);
  page_arena_purge_all();
  EXPECT_EQ(span, page_arena_take_span(2, 0));
  EXPECT_EQ(kAllSlabs, span->zero_slabs);
  EXPECT_EQ(kAllSlabs, span_next(span)->zero_slabs);
}

// Only what a program asks for is made zero by writing: a superslab that is known to be zero is not touched, and what lies
// behind the bytes asked for is purged.
// Gives back a span that is not purged at once: the Box would purge it, but where the kernel refuses.
void GiveUnpurged(struct superslab *span) {
  if (kIsBox) os_fake_fail(OS_FAKE_PURGE, 0, 1);
  page_arena_give_span(span);
  os_fake_fail(0, 0, 0);
}

FRESH_TEST(PageArenaTest, ZeroesOfASpan) {
  ASSERT_TRUE(page_arena_initialize());
  struct superslab *span = page_arena_take_span(1, 0);
  memset(reinterpret_cast<void *>(span->address), 0xAA, HAK_SUPERSLAB_BYTES);
  page_arena_give_span(span);
  span = page_arena_take_span(3, 0);
  char *const memory = reinterpret_cast<char *>(span->address);
  // Not what the records say, so that it shows whether it is written to.
  memory[HAK_SUPERSLAB_BYTES + 5] = 77;
  size_t purged = os_fake_purged_bytes();
  page_arena_zero_span(span, 64, 3 * HAK_SUPERSLAB_BYTES - 64);
  EXPECT_EQ(kNone, FirstNonZero(memory, HAK_SUPERSLAB_BYTES));
  EXPECT_EQ(77, memory[HAK_SUPERSLAB_BYTES + 5]);
  EXPECT_EQ(purged, os_fake_purged_bytes());
  page_arena_give_span(span);
  page_arena_purge_all();

  span = page_arena_take_span(1, 0);
  memset(memory, 0xAA, HAK_SUPERSLAB_BYTES);
  GiveUnpurged(span);
  span = page_arena_take_span(1, 0);
  purged = os_fake_purged_bytes();
  page_arena_zero_span(span, 0, 100);
  EXPECT_GE(os_fake_purged_bytes() - purged, HAK_SUPERSLAB_BYTES - 2 * HAK_SLAB_BYTES);
  EXPECT_EQ(kNone, FirstNonZero(memory, HAK_SUPERSLAB_BYTES));
  // Where the kernel refuses, writing has to do.
  GiveUnpurged(span);
  span = page_arena_take_span(1, 0);
  memset(memory, 0xAA, HAK_SUPERSLAB_BYTES);
  os_fake_fail(OS_FAKE_PURGE, 0, 1);
  page_arena_zero_span(span, 0, 100);
  EXPECT_EQ(kNone, FirstNonZero(memory, HAK_SUPERSLAB_BYTES));
}

// So much memory does not wait for its purge. Where the kernel refuses, it does.
FRESH_TEST(PageArenaTest, LongSpansArePurgedAtOnce) {
  options.purge_delay_ms = 3600000;
  ASSERT_TRUE(page_arena_initialize());
  const size_t bytes = 16 * HAK_SUPERSLAB_BYTES;
  struct superslab *const span = page_arena_take_span(16, 0);
  memset(reinterpret_cast<void *>(span->address), 0xAA, bytes);
  page_arena_give_span(span);
  EXPECT_EQ(0u, purge_dirty_bytes());
  EXPECT_EQ(bytes, os_fake_purged_bytes());
  EXPECT_EQ(bytes, purge_total_bytes());
  EXPECT_EQ(span, page_arena_take_span(16, 0));
  EXPECT_EQ(kAllSlabs, span_next(span)->zero_slabs);
  os_fake_fail(OS_FAKE_PURGE, 0, 1);
  page_arena_give_span(span);
  EXPECT_EQ(bytes, purge_dirty_bytes());
  EXPECT_EQ(span, page_arena_take_span(15, 0));
  EXPECT_EQ(0u, span->zero_slabs);
  page_arena_give_span(span);
  EXPECT_EQ(kIsBox ? HAK_SUPERSLAB_BYTES : bytes, purge_dirty_bytes()) << "shorter ones do wait, but for the Box";
}

// Refused purges leave memory that is neither dirty nor zero.
FRESH_TEST(PageArenaTest, MemoryThatWasNotPurgedIsNotZero) {
  ASSERT_TRUE(page_arena_initialize());
  bool zeroed = false;
  struct slab *const run = page_arena_take_run(2, 0, &zeroed);
  Stamp(run->address, 2, 77);
  page_arena_give_run(run);
  os_fake_fail(OS_FAKE_PURGE, 0, SIZE_MAX);
  EXPECT_EQ(0u, page_arena_purge_all());
  EXPECT_EQ(run, page_arena_take_run(1, 0, &zeroed));
  EXPECT_FALSE(zeroed);
}

FRESH_TEST(PageArenaTest, ResizeAtTheEndOfASuperslab) {
  ASSERT_TRUE(page_arena_initialize());
  bool zeroed;
  struct slab *const first = page_arena_take_run(30, 0, &zeroed);
  struct slab *const last = page_arena_take_run(1, 0, &zeroed);
  ASSERT_EQ(30u, last->number);
  EXPECT_TRUE(page_arena_resize_run(last, 2));
  EXPECT_FALSE(page_arena_resize_run(last, 3)) << "beyond the superslab";
  EXPECT_FALSE(page_arena_resize_run(last, kSlabs));
  EXPECT_FALSE(page_arena_resize_run(first, 31));
  EXPECT_TRUE(page_arena_resize_run(last, 2)) << "as it is";
  EXPECT_TRUE(page_arena_resize_run(first, 1));
  EXPECT_TRUE(page_arena_resize_run(first, 30));
  EXPECT_FALSE(page_arena_resize_run(first, kSlabs));
}

FRESH_TEST(PageArenaTest, WithoutMemoryThereIsNothing) {
  os_fake_fail(OS_FAKE_ALL, 0, SIZE_MAX);
  EXPECT_FALSE(page_arena_initialize());
  os_fake_reset();
  ASSERT_TRUE(page_arena_initialize());
  bool zeroed;
  os_fake_fail(OS_FAKE_MAP_AT, 0, SIZE_MAX);
  EXPECT_EQ(nullptr, page_arena_take_run(1, 1, &zeroed));
  EXPECT_EQ(nullptr, page_arena_take_span(3, 0));
  os_fake_reset();
  struct slab *const run = page_arena_take_run(1, 1, &zeroed);
  ASSERT_NE(nullptr, run);
  // What is mapped already can be used without a call.
  os_fake_fail(OS_FAKE_ALL, 0, SIZE_MAX);
  struct slab *const other = page_arena_take_run(31, 1, &zeroed);
  ASSERT_NE(nullptr, other);
  EXPECT_EQ(nullptr, page_arena_take_run(1, 1, &zeroed));
  page_arena_give_run(run);
  EXPECT_EQ(run, page_arena_take_run(1, 1, &zeroed));
}

// Slab records are made when a superslab is divided for the first time: without them it stays whole, and free.
FRESH_TEST(PageArenaTest, WithoutSlabRecordsTheSuperslabStaysFree) {
  ASSERT_TRUE(page_arena_initialize());
  bool zeroed;
  struct superslab *const span = page_arena_take_span(2, 0);
  ASSERT_NE(nullptr, span);
  page_arena_give_span(span);
  os_fake_fail(OS_FAKE_MAP, 0, SIZE_MAX);
  while (metadata_allocate(64) != nullptr) {
  }
  EXPECT_EQ(nullptr, page_arena_take_run(1, 1, &zeroed));
  EXPECT_EQ(SUPERSLAB_FREE, span->state);
  EXPECT_EQ(span, page_arena_take_span(2, 0));
  page_arena_give_span(span);
  page_arena_purge_all();
  os_fake_reset();
  struct slab *const run = page_arena_take_run(1, 1, &zeroed);
  ASSERT_NE(nullptr, run);
  EXPECT_TRUE(zeroed);
}

// A limited process at its limit: free memory that waits for its purge is in the way of a span that does not fit
// elsewhere, and makes room.
FRESH_TEST(PageArenaTest, WhatWaitsForItsPurgeMakesRoom) {
  os_fake_set_limit(size_t{128} << 20);
  options.purge_delay_ms = 3600000;
  ASSERT_TRUE(page_arena_initialize());
  std::vector<struct superslab *> spans;
  while (struct superslab *const span = page_arena_take_span(5, 0)) spans.push_back(span);
  ASSERT_GT(spans.size(), 8u);
  ASSERT_EQ(nullptr, page_arena_take_span(20, 0));
  // Every other one: together enough, but nowhere in a row.
  for (size_t i = 0; i < spans.size(); i += 2) page_arena_give_span(spans[i]);
  struct superslab *const large = page_arena_take_span(20, 0);
  ASSERT_NE(nullptr, large);
  Stamp(large->address, 20 * kSlabs, 5);
  ExpectStamp(large->address, 20 * kSlabs, 5);
  EXPECT_LE(os_fake_mapped_bytes(), size_t{128} << 20);
  EXPECT_EQ(0u, os_fake_errors());
}

FRESH_TEST(PageArenaTest, LargeBlocksAreCounted) {
  ASSERT_TRUE(page_arena_initialize());
  struct page_arena_statistics statistics;
  page_arena_count_large(2, 1000, 3000);
  page_arena_count_large(-1, -400, -1000);
  page_arena_read_statistics(&statistics);
  EXPECT_EQ(1u, statistics.large_blocks);
  EXPECT_EQ(600u, statistics.large_usable_bytes);
  EXPECT_EQ(2000u, statistics.large_bytes);
}

// fork holds all locks of the layer: in the child they can be released, and everything works.
FRESH_TEST(PageArenaTest, LocksCanBeHeldOverFork) {
  ASSERT_TRUE(page_arena_initialize());
  page_arena_lock_all();
  const int status = RunInChild([] {
    page_arena_unlock_all();
    bool zeroed;
    return page_arena_take_run(1, 1, &zeroed) != nullptr && metadata_allocate(64) != nullptr ? 0 : 1;
  });
  page_arena_unlock_all();
  EXPECT_EQ(0, status) << DescribeStatus(status);
  bool zeroed;
  EXPECT_NE(nullptr, page_arena_take_run(1, 1, &zeroed));
}

FRESH_TEST(PageArenaTest, ThreadsDoNotMeet) {
  ASSERT_TRUE(page_arena_initialize());
  options.purge_delay_ms = 0;
  constexpr size_t rounds = Scaled(400);
  std::vector<std::thread> threads;
  for (uint64_t thread = 1; thread <= 4; ++thread) {
    threads.emplace_back([thread] {
      Random random(thread);
      struct Own {
        struct slab *run;
        struct superslab *span;
        uintptr_t address;
        size_t slabs;
      };
      std::vector<Own> own;
      for (size_t round = 0; round < rounds; ++round) {
        bool zeroed = false;
        if (own.size() < 20 && !random.OneIn(3)) {
          Own taken = {};
          if (random.OneIn(20)) {
            taken.span = page_arena_take_span(random.Between(1, 2), 0);
            ASSERT_NE(nullptr, taken.span);
            taken.address = taken.span->address;
            taken.slabs = taken.span->span_superslabs * kSlabs;
            zeroed = taken.span->span_superslabs == 1 && taken.span->zero_slabs == kAllSlabs;
          } else {
            taken.run = page_arena_take_run(1 + static_cast<unsigned>(random.Below(12)), 0, &zeroed);
            ASSERT_NE(nullptr, taken.run);
            taken.address = taken.run->address;
            taken.slabs = taken.run->run_slabs;
          }
          if (zeroed) {
            for (size_t i = 0; i < taken.slabs; ++i) {
              uint64_t found;
              memcpy(&found, SlabMemory(taken.address, i), sizeof found);
              ASSERT_EQ(0u, found);
            }
          }
          Stamp(taken.address, taken.slabs, thread);
          own.push_back(taken);
        } else if (!own.empty()) {
          const size_t index = random.Below(own.size());
          const Own given = own[index];
          ASSERT_NO_FATAL_FAILURE(ExpectStamp(given.address, given.slabs, thread));
          own[index] = own.back();
          own.pop_back();
          if (given.run != nullptr) {
            ASSERT_EQ(given.run, registry_find_run(given.address));
            page_arena_give_run(given.run);
          } else {
            page_arena_give_span(given.span);
          }
          page_arena_tick();
        }
      }
      for (const Own &given : own)
        given.run != nullptr ? page_arena_give_run(given.run) : page_arena_give_span(given.span);
    });
  }
  for (std::thread &thread : threads) thread.join();
  page_arena_purge_all();
  EXPECT_EQ(0u, purge_dirty_bytes());
  EXPECT_EQ(0u, os_fake_errors());
}

// What is freed is purged in its time, by who frees next.
FRESH_TEST(PageArenaTest, FreeOfALargeBlockTicks) {
  options.purge_delay_ms = 100;
  os_fake_set_time(1000);
  ASSERT_TRUE(page_arena_initialize());
  void *const first = large_block_allocate(100 * kKiB, 16, false);
  void *const second = large_block_allocate(3 * kMiB, 16, false);
  EXPECT_TRUE(large_block_free(first));
  os_fake_set_time(1100);
  EXPECT_EQ(0u, os_fake_purged_bytes());
  EXPECT_TRUE(large_block_free(second));
  // The Box purges spans at once.
  EXPECT_EQ(128 * kKiB + (kIsBox ? 4 * kMiB : 0), os_fake_purged_bytes());
}

}  // namespace
}  // namespace hak_test
