// SPDX-License-Identifier: Apache-2.0
//
// When and how free memory is given back: page_arena/purge, with a clock that the test sets, and the page arena's tick.

#include <gtest/gtest.h>
#include <string.h>

#include <deque>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "allocator/base/options.h"
#include "allocator/os/os_memory_fake.h"
#include "allocator/page_arena/page_arena.h"
#include "allocator/page_arena/purge.h"
#include "allocator/page_arena/span.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"

namespace {

using hak_test::FirstNonZero;
using hak_test::kNone;
using hak_test::Random;
using hak_test::Scaled;

constexpr uint64_t kNever = UINT64_MAX;
constexpr uint32_t kAllSlabs = UINT32_MAX;

// Superslabs in use as slabs; what is dirty in them is up to the test.
std::vector<struct superslab *> TakeSuperslabs(size_t count) {
  std::vector<struct superslab *> superslabs;
  for (size_t i = 0; i < count; ++i) {
    superslabs.push_back(span_take(1, HAK_SUPERSLAB_BYTES));
    EXPECT_NE(nullptr, superslabs.back());
    superslabs.back()->state = SUPERSLAB_SLABS;
    superslabs.back()->zero_slabs = 0;
  }
  return superslabs;
}

void MakeDirty(struct superslab *superslab, uint32_t slabs, uint64_t now) {
  purge_mark_dirty(superslab, slabs);
  purge_enqueue(superslab, now);
}

char *SlabMemory(const struct superslab *superslab, unsigned slab) {
  return reinterpret_cast<char *>(superslab->address + static_cast<uintptr_t>(slab) * HAK_SLAB_BYTES);
}

FRESH_TEST(PurgeQueueTest, EmptyQueueIsNeverDue) {
  EXPECT_EQ(kNever, purge_next_due());
  EXPECT_EQ(0u, purge_due(kNever, SIZE_MAX));
  EXPECT_EQ(0u, purge_dirty_bytes());
  EXPECT_EQ(0u, purge_total_bytes());
}

FRESH_TEST(PurgeQueueTest, DelayAndOrder) {
  ASSERT_TRUE(registry_initialize());
  options.purge_delay_ms = 100;
  const auto s = TakeSuperslabs(3);
  MakeDirty(s[2], 1, 1000);
  MakeDirty(s[0], 3, 1040);
  MakeDirty(s[1], 7, 1040);
  EXPECT_EQ(1100u, purge_next_due());
  EXPECT_EQ(6 * HAK_SLAB_BYTES, purge_dirty_bytes());
  EXPECT_EQ(0u, purge_due(1099, 10)) << "too early";
  EXPECT_EQ(1100u, purge_next_due());
  EXPECT_EQ(1 * HAK_SLAB_BYTES, purge_due(1100, 10));
  EXPECT_EQ(1140u, purge_next_due());
  EXPECT_EQ(0u, s[2]->dirty_slabs);
  EXPECT_EQ(3u, s[0]->dirty_slabs);
  EXPECT_EQ(2 * HAK_SLAB_BYTES, purge_due(1140, 1)) << "of two that are due, the one that came first";
  EXPECT_EQ(1140u, purge_next_due());
  EXPECT_EQ(7u, s[1]->dirty_slabs);
  EXPECT_EQ(3 * HAK_SLAB_BYTES, purge_due(9999, 1));
  EXPECT_EQ(kNever, purge_next_due());
  EXPECT_EQ(0u, purge_dirty_bytes());
  EXPECT_EQ(6 * HAK_SLAB_BYTES, purge_total_bytes());
  EXPECT_EQ(6 * HAK_SLAB_BYTES, os_fake_purged_bytes());
}

FRESH_TEST(PurgeQueueTest, MoreDirtIsPurgedWithTheFirst) {
  ASSERT_TRUE(registry_initialize());
  options.purge_delay_ms = 100;
  const auto s = TakeSuperslabs(1);
  MakeDirty(s[0], 1, 1000);
  MakeDirty(s[0], 1u << 31, 1099);
  EXPECT_EQ(1100u, purge_next_due()) << "memory that becomes dirty again and again would never be due";
  EXPECT_EQ(2 * HAK_SLAB_BYTES, purge_due(1100, 1));
  MakeDirty(s[0], 2, 1200);
  EXPECT_EQ(1300u, purge_next_due());
}

FRESH_TEST(PurgeQueueTest, WhatIsInUseAgainIsNotPurged) {
  ASSERT_TRUE(registry_initialize());
  const auto s = TakeSuperslabs(2);
  MakeDirty(s[0], 0xF0, 1000);
  MakeDirty(s[1], 0x0F, 1000);
  memset(SlabMemory(s[0], 5), 1, HAK_SLAB_BYTES);
  purge_unmark_dirty(s[0], 0x20);
  EXPECT_EQ(7 * HAK_SLAB_BYTES, purge_dirty_bytes());
  purge_unmark_dirty(s[1], 0xFF);
  EXPECT_EQ(3 * HAK_SLAB_BYTES, purge_dirty_bytes());
  EXPECT_EQ(0u, s[1]->purge_at) << "a superslab without dirt waits for nothing";
  EXPECT_EQ(3 * HAK_SLAB_BYTES, purge_due(kNever, SIZE_MAX));
  EXPECT_EQ(1, SlabMemory(s[0], 5)[0]);
  EXPECT_EQ(0xD0u, s[0]->zero_slabs);
  EXPECT_EQ(0u, s[1]->zero_slabs);
}

FRESH_TEST(PurgeQueueTest, DirtIsCountedOnce) {
  ASSERT_TRUE(registry_initialize());
  const auto s = TakeSuperslabs(2);
  purge_mark_dirty(s[0], 0xFF);
  purge_mark_dirty(s[0], 0xF0);
  purge_mark_dirty(s[0], 0xF00);
  EXPECT_EQ(12 * HAK_SLAB_BYTES, purge_dirty_bytes());
  purge_unmark_dirty(s[0], 0xFF000);
  EXPECT_EQ(12 * HAK_SLAB_BYTES, purge_dirty_bytes());
  purge_unmark_dirty(s[0], 0x3);
  purge_unmark_dirty(s[0], 0x3);
  EXPECT_EQ(10 * HAK_SLAB_BYTES, purge_dirty_bytes());
  purge_mark_dirty(s[1], kAllSlabs);
  EXPECT_EQ(42 * HAK_SLAB_BYTES, purge_dirty_bytes());
}

// Time 0 and delay 0: purge_at 0 means that the superslab is not in the queue.
FRESH_TEST(PurgeQueueTest, AtTimeZero) {
  ASSERT_TRUE(registry_initialize());
  options.purge_delay_ms = 0;
  const auto s = TakeSuperslabs(1);
  MakeDirty(s[0], 1, 0);
  EXPECT_NE(0u, s[0]->purge_at);
  MakeDirty(s[0], 2, 0);
  EXPECT_LE(purge_next_due(), 1u);
  EXPECT_EQ(2 * HAK_SLAB_BYTES, purge_due(1, 1));
  EXPECT_EQ(kNever, purge_next_due());
}

unsigned RunsIn(uint32_t bits) { return static_cast<unsigned>(__builtin_popcount(bits & ~(bits << 1))); }

// Exactly the dirty slabs are purged, each row of them with one call.
FRESH_TEST(PurgeQueueTest, EveryPatternOfDirt) {
  ASSERT_TRUE(registry_initialize());
  const uint64_t seed = hak_test::FirstSeed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  struct superslab *const superslab = TakeSuperslabs(1)[0];
  std::vector<uint32_t> patterns = {1,          1u << 31,   0x80000001, kAllSlabs, kAllSlabs >> 1, kAllSlabs << 1,
                                    0x55555555, 0xAAAAAAAA, 0xFFFF0000};
  const size_t more = Scaled(300);
  for (size_t i = 0; i < more; ++i) {
    const uint32_t bits = static_cast<uint32_t>(random.Next());
    patterns.push_back(random.OneIn(2) ? bits : bits & static_cast<uint32_t>(random.Next()));
  }
  for (const uint32_t dirty : patterns) {
    if (dirty == 0) continue;
    SCOPED_TRACE("dirty slabs " + std::to_string(dirty));
    for (unsigned slab = 0; slab < HAK_SUPERSLAB_SLABS; ++slab) {
      SlabMemory(superslab, slab)[0] = SlabMemory(superslab, slab)[HAK_SLAB_BYTES - 1] = 1;
    }
    superslab->zero_slabs = 0;
    const size_t calls = os_fake_calls(OS_FAKE_PURGE);
    MakeDirty(superslab, dirty, 1000);
    ASSERT_EQ(static_cast<size_t>(__builtin_popcount(dirty)) * HAK_SLAB_BYTES, purge_due(kNever, 1));
    ASSERT_EQ(RunsIn(dirty), os_fake_calls(OS_FAKE_PURGE) - calls);
    ASSERT_EQ(dirty, superslab->zero_slabs);
    ASSERT_EQ(0u, superslab->dirty_slabs);
    ASSERT_EQ(0u, superslab->purge_at);
    for (unsigned slab = 0; slab < HAK_SUPERSLAB_SLABS; ++slab) {
      const char expected = (dirty >> slab & 1) != 0 ? 0 : 1;
      ASSERT_EQ(expected, SlabMemory(superslab, slab)[0]) << "slab " << slab;
      ASSERT_EQ(expected, SlabMemory(superslab, slab)[HAK_SLAB_BYTES - 1]) << "slab " << slab;
    }
  }
  EXPECT_EQ(0u, os_fake_errors());
}

// Memory that the system keeps is neither zero nor asked for again and again.
FRESH_TEST(PurgeQueueTest, RefusedPurge) {
  ASSERT_TRUE(registry_initialize());
  struct superslab *const superslab = TakeSuperslabs(1)[0];
  for (unsigned slab = 0; slab < HAK_SUPERSLAB_SLABS; ++slab) SlabMemory(superslab, slab)[0] = 1;
  MakeDirty(superslab, 0x707, 1000);
  os_fake_fail(OS_FAKE_PURGE, 1, 1);  // the second row
  EXPECT_EQ(3 * HAK_SLAB_BYTES, purge_due(kNever, 1));
  EXPECT_EQ(3 * HAK_SLAB_BYTES, purge_total_bytes());
  EXPECT_EQ(0x7u, superslab->zero_slabs);
  EXPECT_EQ(0u, superslab->dirty_slabs);
  EXPECT_EQ(0u, purge_dirty_bytes());
  EXPECT_EQ(0, SlabMemory(superslab, 0)[0]);
  EXPECT_EQ(1, SlabMemory(superslab, 8)[0]);
  EXPECT_EQ(kNever, purge_next_due());
  EXPECT_EQ(0u, purge_due(kNever, SIZE_MAX));
}

// Where address space is limited, a superslab that is free as a whole loses its addresses, too; others do not.
FRESH_TEST(PurgeQueueTest, FreeSuperslabsOfALimitedProcessAreUnmapped) {
  os_fake_set_limit(size_t{1} << 30);
  ASSERT_TRUE(registry_initialize());
  const auto s = TakeSuperslabs(3);
  const size_t mapped = os_fake_mapped_bytes();
  for (struct superslab *superslab : s) MakeDirty(superslab, 0xFFFF, 1000);
  s[0]->state = SUPERSLAB_FREE;
  span_give(s[0], 1);
  s[2]->state = SUPERSLAB_FREE;
  span_give(s[2], 1);
  os_fake_fail(OS_FAKE_RELEASE, 1, 2);  // the second one that is free must be purged instead
  EXPECT_EQ(3 * 16 * HAK_SLAB_BYTES, purge_due(kNever, SIZE_MAX));
  EXPECT_EQ(mapped - HAK_SUPERSLAB_BYTES, os_fake_mapped_bytes());
  EXPECT_EQ(2 * 16 * HAK_SLAB_BYTES, os_fake_purged_bytes());
  EXPECT_EQ(0u, purge_dirty_bytes());
  EXPECT_EQ(2u, span_mapped_superslabs());
  EXPECT_EQ(kAllSlabs, s[0]->zero_slabs);
  EXPECT_EQ(0xFFFFu, s[1]->zero_slabs);
  EXPECT_EQ(0xFFFFu, s[2]->zero_slabs);
  EXPECT_EQ(kNever, purge_next_due());
  EXPECT_EQ(0u, os_fake_errors());
}

// Superslabs come and go anywhere in the queue.
FRESH_TEST(PurgeQueueTest, QueueLikeTheModel) {
  ASSERT_TRUE(registry_initialize());
  const uint64_t seed = hak_test::FirstSeed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  options.purge_delay_ms = 50;
  const auto superslabs = TakeSuperslabs(12);
  std::deque<std::pair<struct superslab *, uint64_t>> queue;  // and when they are due
  uint64_t now = 1000;
  const size_t steps = Scaled(20000);
  for (size_t step = 0; step < steps; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    if (random.OneIn(3)) now += random.Below(20);
    struct superslab *const superslab = superslabs[random.Below(superslabs.size())];
    auto place = queue.begin();
    while (place != queue.end() && place->first != superslab) ++place;
    if (random.OneIn(2)) {
      MakeDirty(superslab, 1u << random.Below(32), now);
      if (place == queue.end()) queue.push_back({superslab, now + 50});
    } else if (random.OneIn(2)) {
      const uint32_t slabs = random.OneIn(2) ? kAllSlabs : static_cast<uint32_t>(random.Next());
      purge_unmark_dirty(superslab, slabs);
      if (place != queue.end() && superslab->dirty_slabs == 0) queue.erase(place);
    } else {
      const size_t limit = random.OneIn(20) ? SIZE_MAX : random.Below(4);
      size_t expected = 0;
      for (size_t i = 0; i < limit && !queue.empty() && (limit == SIZE_MAX || queue.front().second <= now); ++i) {
        expected += static_cast<size_t>(__builtin_popcount(queue.front().first->dirty_slabs)) * HAK_SLAB_BYTES;
        queue.pop_front();
      }
      ASSERT_EQ(expected, purge_due(now, limit));
    }
    ASSERT_EQ(queue.empty() ? kNever : queue.front().second, purge_next_due());
    size_t dirty = 0;
    std::set<struct superslab *> queued;
    for (const auto &[member, due] : queue) {
      ASSERT_EQ(due, member->purge_at);
      ASSERT_NE(0u, member->dirty_slabs);
      queued.insert(member);
      dirty += static_cast<size_t>(__builtin_popcount(member->dirty_slabs)) * HAK_SLAB_BYTES;
    }
    ASSERT_EQ(dirty, purge_dirty_bytes());
    for (struct superslab *other : superslabs) {
      if (queued.count(other) == 0) ASSERT_EQ(0u, other->dirty_slabs);
    }
  }
}

// The tick: what is due, a little at a time.

// As runs, because spans may be purged at once: long ones at every checks level, and any with the Box.
void FreeSuperslabs(size_t superslabs) {
  std::vector<struct slab *> runs;
  for (size_t i = 0; i < superslabs; ++i) {
    bool zeroed;
    runs.push_back(page_arena_take_run(HAK_SUPERSLAB_SLABS, 0, &zeroed));
    ASSERT_NE(nullptr, runs.back());
  }
  for (struct slab *run : runs) page_arena_give_run(run);
}

FRESH_TEST(PurgeTickTest, NothingBeforeItsTimeAndLittleAtATime) {
  os_fake_set_time(5000);
  options.purge_delay_ms = 200;
  ASSERT_TRUE(page_arena_initialize());
  page_arena_tick();
  const size_t all = 64 * HAK_SUPERSLAB_BYTES;
  ASSERT_NO_FATAL_FAILURE(FreeSuperslabs(64));
  EXPECT_EQ(all, purge_dirty_bytes());
  os_fake_set_time(5199);
  page_arena_tick();
  EXPECT_EQ(all, purge_dirty_bytes()) << "too early";
  os_fake_set_time(5200);
  size_t ticks = 0;
  while (purge_dirty_bytes() > 0 && ticks < 100) {
    const size_t before = purge_dirty_bytes();
    page_arena_tick();
    ++ticks;
    EXPECT_LT(purge_dirty_bytes(), before);
    EXPECT_LE(before - purge_dirty_bytes(), 16 * HAK_SUPERSLAB_BYTES) << "one call does it all, and takes long";
  }
  EXPECT_EQ(0u, purge_dirty_bytes());
  EXPECT_EQ(all, purge_total_bytes());
  page_arena_tick();
  EXPECT_EQ(64u, os_fake_calls(OS_FAKE_PURGE));
}

FRESH_TEST(PurgeTickTest, WithoutADelayEverythingAtOnce) {
  os_fake_set_time(5000);
  options.purge_delay_ms = 0;
  ASSERT_TRUE(page_arena_initialize());
  ASSERT_NO_FATAL_FAILURE(FreeSuperslabs(64));
  page_arena_tick();
  EXPECT_EQ(0u, purge_dirty_bytes());
}

FRESH_TEST(PurgeTickTest, PurgeAllWaitsForNothing) {
  options.purge_delay_ms = 3600000;
  ASSERT_TRUE(page_arena_initialize());
  ASSERT_NO_FATAL_FAILURE(FreeSuperslabs(64));
  EXPECT_EQ(64 * HAK_SUPERSLAB_BYTES, page_arena_purge_all());
  EXPECT_EQ(0u, purge_dirty_bytes());
  EXPECT_EQ(0u, page_arena_purge_all());
}

}  // namespace
