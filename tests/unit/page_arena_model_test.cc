// SPDX-License-Identifier: Apache-2.0
//
// Runs and spans against a model: that none overlap, and that the records and the slab table say what is where:
// page_arena/page_arena.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/unit/page_arena_support.h"

namespace hak_test {
namespace {

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
      if (all) ASSERT_EQ(kNone, FirstNonZero(SlabMemory(address, i), HAK_SLAB_BYTES));
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
    struct slab *const run = hak_test::TakeRun(slabs, size_class, &zeroed);
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
  const uint64_t seed = FirstSeed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Model model(seed);
  RunModel(&model);
}

FRESH_TEST(PageArenaTest, LikeTheModelWhereAddressSpaceIsLimited) {
  const uint64_t seed = FirstSeed() + 1;
  SCOPED_TRACE("seed " + std::to_string(seed));
  os_fake_set_limit(size_t{1} << 34);
  Model model(seed);
  ASSERT_NO_FATAL_FAILURE(RunModel(&model));
  EXPECT_LE(span_mapped_superslabs(), model.failures()) << "nothing is in use, and everything was purged";
}

}  // namespace
}  // namespace hak_test
