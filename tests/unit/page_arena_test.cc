// SPDX-License-Identifier: Apache-2.0
//
// Runs and spans against a model: that none overlap, that the records and the slab table say what is where, that memory
// which is said to be zero is zero, and which memory is preferred: page_arena/page_arena.

#include "allocator/page_arena/page_arena.h"

#include <gtest/gtest.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "allocator/base/options.h"
#include "allocator/os/os_memory_fake.h"
#include "allocator/page_arena/metadata.h"
#include "allocator/page_arena/purge.h"
#include "allocator/page_arena/span.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"

namespace {

using hak_test::Random;
using hak_test::Scaled;

constexpr uint32_t kAllSlabs = UINT32_MAX;
constexpr unsigned kSlabs = HAK_SUPERSLAB_SLABS;
// Where the test writes to each slab, and looks for zeroes.
constexpr size_t kProbes[] = {0, HAK_SLAB_BYTES / 2 - 4, HAK_SLAB_BYTES - 8};

uint32_t Mask(unsigned first, unsigned count) {
  uint32_t mask = 0;
  for (unsigned i = first; i < first + count; ++i) mask |= uint32_t{1} << i;
  return mask;
}

unsigned LongestRun(uint32_t bits) {
  unsigned longest = 0, length = 0;
  for (unsigned i = 0; i < kSlabs; ++i) {
    length = (bits >> i & 1) != 0 ? length + 1 : 0;
    longest = std::max(longest, length);
  }
  return longest;
}

// The first place at which count set bits begin, or kSlabs.
unsigned FirstRun(uint32_t bits, unsigned count) {
  for (unsigned first = 0; first + count <= kSlabs; ++first) {
    if ((bits & Mask(first, count)) == Mask(first, count)) return first;
  }
  return kSlabs;
}

char *SlabMemory(uintptr_t address, size_t slab) { return reinterpret_cast<char *>(address + slab * HAK_SLAB_BYTES); }

void Stamp(uintptr_t address, size_t slabs, uint64_t key) {
  for (size_t i = 0; i < slabs; ++i) {
    for (const size_t probe : kProbes) memcpy(SlabMemory(address, i) + probe, &key, sizeof key);
  }
}

void ExpectStamp(uintptr_t address, size_t slabs, uint64_t key) {
  for (size_t i = 0; i < slabs; ++i) {
    for (const size_t probe : kProbes) {
      ASSERT_EQ(0, memcmp(SlabMemory(address, i) + probe, &key, sizeof key)) << "slab " << i << " was written to";
    }
  }
}

class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed) {}

  void Step(uint64_t step) {
    const unsigned action = static_cast<unsigned>(random_.Below(100));
    const bool much = live_slabs_ > 500;
    if (action < (much ? 20u : 38u)) {
      TakeRun(random_.OneIn(5) ? kSlabs - static_cast<unsigned>(random_.Below(4))
                               : 1 + static_cast<unsigned>(random_.Below(9)),
              random_.OneIn(3) ? 0 : 1 + static_cast<unsigned>(random_.Below(55)), step);
    } else if (action < (much ? 22u : 42u)) {
      TakeSpan(random_.Between(1, 4), HAK_SUPERSLAB_BYTES << random_.Below(3), step);
    } else if (action < 72) {
      if (!live_.empty()) Give(random_.Below(live_.size()));
    } else if (action < 90) {
      if (!live_.empty()) Resize(random_.Below(live_.size()));
    } else if (action < 99) {
      os_fake_set_time(time_ += random_.Below(200));
      if (random_.OneIn(4)) {
        os_fake_fail(OS_FAKE_PURGE | OS_FAKE_RELEASE, random_.Below(3), 1);
        ++failures_;
      }
      page_arena_tick();
      os_fake_fail(0, 0, 0);
    } else {
      page_arena_purge_all();
      EXPECT_EQ(0u, purge_dirty_bytes());
    }
  }

  // Every record against what the model knows.
  void Check() const {
    std::map<const struct superslab *, uint32_t> used;
    for (const Live &live : live_) {
      if (live.span != nullptr) {
        const struct superslab *superslab = live.span;
        ASSERT_EQ(SUPERSLAB_SPAN, superslab->state);
        ASSERT_EQ(live.slabs / kSlabs, superslab->span_superslabs);
        for (size_t i = 0; i < live.slabs / kSlabs; ++i) {
          if (i > 0) {
            superslab = span_next(superslab);
            ASSERT_EQ(SUPERSLAB_SPAN_TAIL, superslab->state);
          }
          ASSERT_TRUE(used.emplace(superslab, kAllSlabs).second);
        }
      } else {
        const struct superslab *const superslab = live.run->superslab;
        ASSERT_EQ(SUPERSLAB_SLABS, superslab->state);
        const uint32_t mask = Mask(live.run->number, static_cast<unsigned>(live.slabs));
        ASSERT_EQ(0u, used[superslab] & mask) << "two runs overlap";
        used[superslab] |= mask;
        for (size_t i = 0; i < live.slabs; ++i) {
          ASSERT_EQ(live.size_class, registry_class_of(live.address + i * HAK_SLAB_BYTES));
          ASSERT_EQ(live.run, registry_find_run(live.address + i * HAK_SLAB_BYTES + 100));
          ASSERT_EQ(live.size_class == 0 ? SLAB_LARGE : SLAB_CLASS, live.run[i].state);
        }
        ASSERT_EQ(live.address, live.run->address);
        ASSERT_EQ(live.slabs, live.run->run_slabs);
        ASSERT_EQ(live.size_class, live.run->size_class);
      }
    }
    size_t dirty_slabs = 0;
    for (size_t number = 0; number < 300; ++number) {
      const struct superslab *const superslab = registry.superslabs[number];
      const bool taken = (registry.taken_superslabs[number / 64] >> (number % 64) & 1) != 0;
      if (superslab == nullptr) {
        ASSERT_FALSE(taken);
        continue;
      }
      SCOPED_TRACE("superslab " + std::to_string(number));
      const auto found = used.find(superslab);
      ASSERT_EQ(found != used.end(), taken) << "empty superslabs go back to the window, others do not";
      const uint32_t in_use = taken ? found->second : 0;
      ASSERT_EQ(taken, superslab->state != SUPERSLAB_FREE);
      if (superslab->state == SUPERSLAB_SLABS) {
        ASSERT_EQ(~in_use, superslab->free_slabs);
        ASSERT_EQ(LongestRun(superslab->free_slabs), superslab->longest_run);
        for (unsigned i = 0; i < kSlabs; ++i) {
          if ((in_use >> i & 1) == 0) {
            ASSERT_EQ(SLAB_FREE, superslab->slabs[i].state);
            ASSERT_EQ(0u, registry_class_of(superslab->slabs[i].address));
          }
        }
      }
      ASSERT_EQ(0u, superslab->dirty_slabs & in_use) << "memory in use would be purged";
      // A span keeps what was known of its memory when it was taken.
      if (superslab->state == SUPERSLAB_SLABS) ASSERT_EQ(0u, superslab->zero_slabs & in_use);
      ASSERT_EQ(0u, superslab->zero_slabs & superslab->dirty_slabs);
      ASSERT_EQ(superslab->dirty_slabs != 0, superslab->purge_at != 0) << "what is dirty waits for its purge";
      dirty_slabs += static_cast<size_t>(__builtin_popcount(superslab->dirty_slabs));
    }
    struct page_arena_statistics statistics;
    page_arena_read_statistics(&statistics);
    EXPECT_EQ(dirty_slabs * HAK_SLAB_BYTES, statistics.dirty_bytes);
    EXPECT_EQ(span_mapped_superslabs() * HAK_SUPERSLAB_BYTES, statistics.mapped_bytes);
    EXPECT_EQ(0u, os_fake_errors());
  }

  // Purges and releases that were made to fail.
  size_t failures() const { return failures_; }

  void GiveEverything() {
    while (!live_.empty()) Give(live_.size() - 1);
  }

 private:
  struct Live {
    struct slab *run;
    struct superslab *span;  // one of the two is nullptr
    uintptr_t address;
    size_t slabs;
    unsigned size_class;
    uint64_t key;
  };

  // Memory that is said to be zero is; all of it, now and then.
  void ExpectZero(uintptr_t address, size_t slabs) {
    const bool all = random_.OneIn(20);
    for (size_t i = 0; i < slabs; ++i) {
      if (all) ASSERT_EQ(hak_test::kNone, hak_test::FirstNonZero(SlabMemory(address, i), HAK_SLAB_BYTES));
      for (const size_t probe : kProbes) {
        uint64_t found;
        memcpy(&found, SlabMemory(address, i) + probe, sizeof found);
        ASSERT_EQ(0u, found) << "slab " << i << " was said to be zero";
      }
    }
  }

  void Enter(const Live &live, bool zeroed) {
    if (zeroed) ASSERT_NO_FATAL_FAILURE(ExpectZero(live.address, live.slabs));
    Stamp(live.address, live.slabs, live.key);
    live_.push_back(live);
    live_slabs_ += live.slabs;
  }

  void TakeRun(unsigned slabs, unsigned size_class, uint64_t key) {
    // What is there before: the shortest free run that is long enough is to be used.
    struct Before {
      uint32_t free, dirty, zero;
    };
    std::map<const struct superslab *, Before> before;
    unsigned best = kSlabs + 1;
    for (size_t number = 0; number < 300; ++number) {
      const struct superslab *const superslab = registry.superslabs[number];
      if (superslab == nullptr) continue;
      before[superslab] = {superslab->free_slabs, superslab->dirty_slabs, superslab->zero_slabs};
      if (superslab->state != SUPERSLAB_SLABS) {
        before[superslab].free = kAllSlabs;
      } else {
        const unsigned longest = LongestRun(superslab->free_slabs);
        if (longest >= slabs) best = std::min(best, longest);
      }
    }
    bool zeroed = false;
    struct slab *const run = page_arena_take_run(slabs, size_class, &zeroed);
    ASSERT_NE(nullptr, run);
    const struct superslab *const superslab = run->superslab;
    if (before.count(superslab) == 0) before[superslab] = {kAllSlabs, 0, kAllSlabs};
    const Before &was = before[superslab];
    ASSERT_EQ(best <= kSlabs ? best : kSlabs, LongestRun(was.free)) << "not the shortest run that fits";
    // In it: resident memory first, and low addresses.
    unsigned first = FirstRun(was.free & was.dirty, slabs);
    if (first == kSlabs) first = FirstRun(was.free, slabs);
    ASSERT_EQ(first, run->number);
    ASSERT_EQ((was.zero & Mask(first, slabs)) == Mask(first, slabs), zeroed);
    Enter({run, nullptr, run->address, slabs, size_class, key}, zeroed);
  }

  void TakeSpan(size_t superslabs, size_t alignment, uint64_t key) {
    struct superslab *const span = page_arena_take_span(superslabs, alignment);
    ASSERT_NE(nullptr, span);
    ASSERT_EQ(0u, span->address % alignment);
    const bool zeroed = random_.OneIn(2);
    if (zeroed) {
      const size_t offset = random_.Below(16) * HAK_CACHE_LINE;
      page_arena_zero_span(span, offset,
                           superslabs * HAK_SUPERSLAB_BYTES - random_.Below(HAK_SUPERSLAB_BYTES) - offset);
    }
    Enter({nullptr, span, span->address, superslabs * kSlabs, 0, key}, zeroed);
  }

  void Give(size_t index) {
    const Live live = live_[index];
    live_[index] = live_.back();
    live_.pop_back();
    live_slabs_ -= live.slabs;
    ASSERT_NO_FATAL_FAILURE(ExpectStamp(live.address, live.slabs, live.key));
    if (live.run != nullptr) {
      page_arena_give_run(live.run);
    } else {
      page_arena_give_span(live.span);
    }
  }

  void Resize(size_t index) {
    Live &live = live_[index];
    const size_t old_slabs = live.slabs;
    size_t slabs;
    bool possible = true;
    if (live.run != nullptr) {
      slabs = random_.Between(1, 12);
      const unsigned end = live.run->number + static_cast<unsigned>(slabs);
      if (end > kSlabs) {
        possible = false;
      } else if (slabs > old_slabs) {
        const uint32_t more =
            Mask(live.run->number + static_cast<unsigned>(old_slabs), static_cast<unsigned>(slabs - old_slabs));
        possible = (live.run->superslab->free_slabs & more) == more;
      }
      // Runs of a class are never resized.
      if (live.size_class != 0) return;
      ASSERT_EQ(possible, page_arena_resize_run(live.run, static_cast<unsigned>(slabs)));
    } else {
      const size_t superslabs = random_.Between(1, 5);
      slabs = superslabs * kSlabs;
      const size_t number = (live.address - registry.base) / HAK_SUPERSLAB_BYTES;
      for (size_t i = number + old_slabs / kSlabs; i < number + superslabs; ++i) {
        possible = possible && (registry.taken_superslabs[i / 64] >> (i % 64) & 1) == 0;
      }
      ASSERT_EQ(possible, page_arena_resize_span(live.span, superslabs));
    }
    if (!possible) slabs = old_slabs;
    ASSERT_NO_FATAL_FAILURE(ExpectStamp(live.address, std::min(slabs, old_slabs), live.key)) << "contents are kept";
    live_slabs_ += slabs - old_slabs;
    live.slabs = slabs;
    Stamp(live.address, slabs, live.key);
  }

  Random random_;
  uint64_t time_ = 1000;
  std::vector<Live> live_;
  size_t live_slabs_ = 0, failures_ = 0;
};

void RunModel(Model *model_in_use) {
  Model &model = *model_in_use;
  ASSERT_TRUE(page_arena_initialize());
  const size_t steps = Scaled(2500);
  for (size_t step = 1; step <= steps; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    ASSERT_NO_FATAL_FAILURE(model.Step(step));
    if (step % 40 == 0) ASSERT_NO_FATAL_FAILURE(model.Check());
  }
  ASSERT_NO_FATAL_FAILURE(model.GiveEverything());
  ASSERT_NO_FATAL_FAILURE(model.Check());
  page_arena_purge_all();
  ASSERT_NO_FATAL_FAILURE(model.Check());
}

FRESH_TEST(PageArenaTest, LikeTheModel) {
  const uint64_t seed = hak_test::FirstSeed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Model model(seed);
  RunModel(&model);
}

FRESH_TEST(PageArenaTest, LikeTheModelWhereAddressSpaceIsLimited) {
  const uint64_t seed = hak_test::FirstSeed() + 1;
  SCOPED_TRACE("seed " + std::to_string(seed));
  os_fake_set_limit(size_t{1} << 34);
  Model model(seed);
  ASSERT_NO_FATAL_FAILURE(RunModel(&model));
  EXPECT_LE(span_mapped_superslabs(), model.failures()) << "nothing is in use, and everything was purged";
}

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
FRESH_TEST(PageArenaTest, ZeroesOfASpan) {
  ASSERT_TRUE(page_arena_initialize());
  struct superslab *span = page_arena_take_span(1, 0);
  memset(reinterpret_cast<void *>(span->address), 0xAA, HAK_SUPERSLAB_BYTES);
  page_arena_give_span(span);
  span = page_arena_take_span(3, 0);
  char *const memory = reinterpret_cast<char *>(span->address);
  // Not what the records say, so that it shows whether it is written to.
  memory[HAK_SUPERSLAB_BYTES + 5] = 77;
  page_arena_zero_span(span, 64, 3 * HAK_SUPERSLAB_BYTES - 64);
  EXPECT_EQ(hak_test::kNone, hak_test::FirstNonZero(memory, HAK_SUPERSLAB_BYTES));
  EXPECT_EQ(77, memory[HAK_SUPERSLAB_BYTES + 5]);
  EXPECT_EQ(0u, os_fake_purged_bytes());
  page_arena_give_span(span);
  page_arena_purge_all();

  span = page_arena_take_span(1, 0);
  memset(memory, 0xAA, HAK_SUPERSLAB_BYTES);
  page_arena_give_span(span);
  span = page_arena_take_span(1, 0);
  const size_t purged = os_fake_purged_bytes();
  page_arena_zero_span(span, 0, 100);
  EXPECT_GE(os_fake_purged_bytes() - purged, HAK_SUPERSLAB_BYTES - 2 * HAK_SLAB_BYTES);
  EXPECT_EQ(hak_test::kNone, hak_test::FirstNonZero(memory, HAK_SUPERSLAB_BYTES));
  // Where the kernel refuses, writing has to do.
  page_arena_give_span(span);
  span = page_arena_take_span(1, 0);
  memset(memory, 0xAA, HAK_SUPERSLAB_BYTES);
  os_fake_fail(OS_FAKE_PURGE, 0, 1);
  page_arena_zero_span(span, 0, 100);
  EXPECT_EQ(hak_test::kNone, hak_test::FirstNonZero(memory, HAK_SUPERSLAB_BYTES));
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
  EXPECT_EQ(bytes, purge_dirty_bytes()) << "shorter ones do wait";
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
  const int status = hak_test::RunInChild([] {
    page_arena_unlock_all();
    bool zeroed;
    return page_arena_take_run(1, 1, &zeroed) != nullptr && metadata_allocate(64) != nullptr ? 0 : 1;
  });
  page_arena_unlock_all();
  EXPECT_EQ(0, status) << hak_test::DescribeStatus(status);
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

}  // namespace
