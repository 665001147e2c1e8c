// SPDX-License-Identifier: Apache-2.0
//
// Whole superslabs out of the window, against a model that knows which are taken and takes the first that fit:
// page_arena/span.

#include "allocator/page_arena/span.h"

#include <gtest/gtest.h>
#include <string.h>
#include <sys/mman.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "allocator/base/options.h"
#include "allocator/os/os_memory_fake.h"
#include "allocator/page_arena/metadata.h"
#include "allocator/page_arena/registry.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"

namespace {

using hak_test::Random;
using hak_test::Scaled;

constexpr size_t kSuperslab = HAK_SUPERSLAB_BYTES;

uintptr_t AddressOf(size_t number) { return registry.base + number * kSuperslab; }
size_t NumberOf(const struct superslab *superslab) { return (superslab->address - registry.base) / kSuperslab; }
bool IsTaken(size_t number) { return (registry.taken_superslabs[number / 64] >> (number % 64) & 1) != 0; }

// Everything of the window from the beginning on that is not in the set is free.
class Model {
 public:
  size_t FirstFit(size_t count, size_t alignment) const {
    for (size_t number = 0;; ++number) {
      if (AddressOf(number) % alignment == 0 && IsFree(number, count)) return number;
    }
  }
  bool IsFree(size_t number, size_t count) const {
    const auto next = taken_.lower_bound(number);
    return next == taken_.end() || *next >= number + count;
  }
  // Whether something has to be mapped before these can be used.
  bool NeedsMapping(size_t number, size_t count) const {
    for (size_t i = number; i < number + count; ++i) {
      if (mapped_.count(i) == 0) return true;
    }
    return false;
  }
  void Take(size_t number, size_t count) {
    for (size_t i = number; i < number + count; ++i) {
      ASSERT_TRUE(taken_.insert(i).second) << "superslab " << i << " is taken twice";
      mapped_.insert(i);
    }
  }
  void Give(size_t number, size_t count) {
    for (size_t i = number; i < number + count; ++i) taken_.erase(i);
  }
  void Unmap(size_t number) { mapped_.erase(number); }
  bool IsMapped(size_t number) const { return mapped_.count(number) != 0; }
  size_t mapped() const { return mapped_.size(); }
  void Check() const {
    const size_t end = taken_.empty() ? 64 : *taken_.rbegin() + 64;
    for (size_t i = 0; i < end; ++i) ASSERT_EQ(taken_.count(i) != 0, IsTaken(i)) << "superslab " << i;
    EXPECT_EQ(mapped_.size(), span_mapped_superslabs());
    EXPECT_EQ(0u, os_fake_errors());
  }

 private:
  std::set<size_t> taken_, mapped_;
};

// Writes to the first and the last bytes of every superslab of a span, and looks whether they are still there.
void Mark(size_t number, size_t count, uint64_t key) {
  for (size_t i = 0; i < count; ++i) {
    const uint64_t mark = key * 1000 + i;
    char *const start = reinterpret_cast<char *>(AddressOf(number + i));
    memcpy(start, &mark, sizeof mark);
    memcpy(start + kSuperslab - sizeof mark, &mark, sizeof mark);
  }
}

void ExpectMark(size_t number, size_t count, uint64_t key) {
  for (size_t i = 0; i < count; ++i) {
    const uint64_t mark = key * 1000 + i;
    const char *const start = reinterpret_cast<const char *>(AddressOf(number + i));
    EXPECT_EQ(0, memcmp(start, &mark, sizeof mark)) << "superslab " << number + i;
    EXPECT_EQ(0, memcmp(start + kSuperslab - sizeof mark, &mark, sizeof mark)) << "superslab " << number + i;
  }
}

void ExpectRecords(struct superslab *first, size_t number, size_t count) {
  ASSERT_NE(nullptr, first);
  ASSERT_EQ(number, NumberOf(first));
  struct superslab *superslab = first;
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) superslab = span_next(superslab);
    ASSERT_NE(nullptr, superslab);
    EXPECT_EQ(AddressOf(number + i), superslab->address);
    EXPECT_EQ(superslab, registry.superslabs[number + i]);
  }
}

FRESH_TEST(SpanTest, TakesGivesExtendsLikeTheModel) {
  ASSERT_TRUE(registry_initialize());
  const uint64_t seed = hak_test::FirstSeed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  Model model;
  struct Span {
    size_t count;
    uint64_t key;
  };
  std::map<size_t, Span> spans;  // by first number
  const size_t steps = Scaled(20000);
  for (size_t step = 0; step < steps; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const unsigned action = static_cast<unsigned>(random.Below(10));
    auto chosen = spans.begin();
    if (!spans.empty()) std::advance(chosen, random.Below(spans.size()));
    if (spans.empty() || (action < 4 && spans.size() < 60)) {
      const size_t count = random.OneIn(10) ? random.Between(60, 200) : random.Between(1, 9);
      const size_t alignment = random.OneIn(3) ? kSuperslab << random.Below(8) : kSuperslab;
      const size_t expected = model.FirstFit(count, alignment);
      const bool fails = random.OneIn(20);
      if (fails) os_fake_fail(OS_FAKE_MAP_AT, 0, 1);
      struct superslab *const span = span_take(count, alignment);
      os_fake_fail(0, 0, 0);
      if (fails && model.NeedsMapping(expected, count)) {
        ASSERT_EQ(nullptr, span);
      } else {
        ASSERT_NO_FATAL_FAILURE(ExpectRecords(span, expected, count)) << count << " aligned to " << alignment;
        ASSERT_NO_FATAL_FAILURE(model.Take(expected, count));
        Mark(expected, count, step);
        spans[expected] = {count, step};
      }
    } else if (action < 7) {
      const auto [number, span] = *chosen;
      ExpectMark(number, span.count, span.key);
      span_give(registry.superslabs[number], span.count);
      model.Give(number, span.count);
      spans.erase(chosen);
    } else if (action < 8) {  // the tail goes
      const size_t number = chosen->first;
      Span &span = chosen->second;
      if (span.count > 1) {
        const size_t keep = random.Between(1, span.count - 1);
        ExpectMark(number, span.count, span.key);
        span_give(registry.superslabs[number + keep], span.count - keep);
        model.Give(number + keep, span.count - keep);
        span.count = keep;
      }
    } else {
      const size_t number = chosen->first;
      Span &span = chosen->second;
      const size_t more = random.Between(1, 5);
      const bool possible = model.IsFree(number + span.count, more);
      ASSERT_EQ(possible, span_extend(registry.superslabs[number], span.count, more));
      if (possible) {
        ASSERT_NO_FATAL_FAILURE(model.Take(number + span.count, more));
        ExpectMark(number, span.count, span.key);
        span.count += more;
        ASSERT_NO_FATAL_FAILURE(ExpectRecords(registry.superslabs[number], number, span.count));
        Mark(number, span.count, span.key);
      }
    }
    if (step % 50 == 0) ASSERT_NO_FATAL_FAILURE(model.Check());
    ASSERT_EQ(model.mapped(), span_mapped_superslabs());
  }
  for (const auto &[number, span] : spans) {
    ExpectMark(number, span.count, span.key);
    span_give(registry.superslabs[number], span.count);
    model.Give(number, span.count);
  }
  model.Check();
}

FRESH_TEST(SpanTest, NeighboursBecomeOneAgain) {
  ASSERT_TRUE(registry_initialize());
  struct superslab *spans[4];
  for (struct superslab *&span : spans) {
    span = span_take(2, kSuperslab);
    ASSERT_NE(nullptr, span);
  }
  struct superslab *const guard = span_take(1, kSuperslab);
  EXPECT_EQ(8u, NumberOf(guard));
  for (const int i : {2, 0, 3, 1}) span_give(spans[i], 2);
  EXPECT_EQ(spans[0], span_take(8, kSuperslab));
  EXPECT_EQ(9u, NumberOf(span_take(1, kSuperslab)));
}

FRESH_TEST(SpanTest, MemoryIsMappedOnceAndStays) {
  ASSERT_TRUE(registry_initialize());
  struct superslab *const span = span_take(4, kSuperslab);
  ASSERT_NE(nullptr, span);
  EXPECT_EQ(1u, os_fake_calls(OS_FAKE_MAP_AT)) << "a span is mapped in one call";
  EXPECT_EQ(UINT32_MAX, span->zero_slabs) << "fresh memory is zero";
  Mark(0, 4, 1);
  span_give(span, 4);
  EXPECT_EQ(span, span_take(6, kSuperslab));
  EXPECT_EQ(2u, os_fake_calls(OS_FAKE_MAP_AT));
  ExpectMark(0, 4, 1);  // what was given back is not touched
  EXPECT_EQ(6u, span_mapped_superslabs());
}

FRESH_TEST(SpanTest, AlignmentBeyondTheWindowsOwn) {
  ASSERT_TRUE(registry_initialize());
  for (size_t alignment = kSuperslab; alignment <= size_t{1} << 36; alignment *= 2) {
    struct superslab *const span = span_take(3, alignment);
    ASSERT_NE(nullptr, span) << alignment;
    EXPECT_EQ(0u, span->address % alignment);
    Mark(NumberOf(span), 3, alignment);
    ExpectMark(NumberOf(span), 3, alignment);
  }
  EXPECT_EQ(nullptr, span_take(1, size_t{1} << 60));
}

FRESH_TEST(SpanTest, MoreThanTheWindowIsRefused) {
  ASSERT_TRUE(registry_initialize());
  EXPECT_EQ(nullptr, span_take(registry.superslab_count + 1, kSuperslab));
  EXPECT_EQ(nullptr, span_take(SIZE_MAX >> HAK_SUPERSLAB_SHIFT, kSuperslab));
  EXPECT_EQ(nullptr, span_take(SIZE_MAX, kSuperslab));
  EXPECT_EQ(0u, os_fake_calls(OS_FAKE_MAP_AT));
}

// The test takes the window's superslabs itself, all but some: mapping them takes too long.
FRESH_TEST(SpanTest, EndOfTheWindow) {
  ASSERT_TRUE(registry_initialize());
  const size_t count = registry.superslab_count;
  memset(registry.taken_superslabs, 0xFF, count / 8);
  registry.taken_superslabs[count / 64 - 1] = ~(uint64_t{0x7} << 61);  // the last three
  registry.taken_superslabs[count / 64 / 2] = ~uint64_t{1};            // one in the middle
  EXPECT_EQ(nullptr, span_take(4, kSuperslab));
  struct superslab *const three = span_take(2, kSuperslab);
  ASSERT_NE(nullptr, three);
  EXPECT_EQ(count - 3, NumberOf(three));
  EXPECT_FALSE(span_extend(three, 2, 2)) << "the window is not that long";
  EXPECT_TRUE(span_extend(three, 2, 1));
  EXPECT_FALSE(span_extend(three, 3, 1)) << "the window ends here";
  EXPECT_FALSE(span_extend(three, 3, SIZE_MAX));
  Mark(count - 3, 3, 1);
  ExpectMark(count - 3, 3, 1);
  struct superslab *const middle = span_take(1, kSuperslab);
  ASSERT_NE(nullptr, middle);
  EXPECT_EQ(count / 64 / 2 * 64, NumberOf(middle));
  EXPECT_EQ(nullptr, span_take(1, kSuperslab));
  span_give(three, 3);
  EXPECT_EQ(three, span_take(3, kSuperslab));
}

void ExpectNothingTakenFrom(size_t number) {
  for (size_t i = number; i < number + 200; ++i) ASSERT_FALSE(IsTaken(i)) << "superslab " << i;
}

FRESH_TEST(SpanTest, RefusedMemoryChangesNothing) {
  ASSERT_TRUE(registry_initialize());
  struct superslab *const first = span_take(2, kSuperslab);
  ASSERT_NE(nullptr, first);
  const size_t metadata = metadata_bytes();
  os_fake_fail(OS_FAKE_MAP_AT, 0, SIZE_MAX);
  EXPECT_EQ(nullptr, span_take(1, kSuperslab));
  EXPECT_EQ(nullptr, span_take(100, 4 * kSuperslab));
  EXPECT_FALSE(span_extend(first, 2, 1));
  ExpectNothingTakenFrom(2);
  EXPECT_EQ(metadata, metadata_bytes()) << "records of superslabs that there are not";
  EXPECT_EQ(2u, span_mapped_superslabs());
  os_fake_reset();
  EXPECT_TRUE(span_extend(first, 2, 1));
}

FRESH_TEST(SpanTest, WithoutRecordsNothingIsTaken) {
  ASSERT_TRUE(registry_initialize());
  struct superslab *const first = span_take(2, kSuperslab);
  ASSERT_NE(nullptr, first);
  os_fake_fail(OS_FAKE_MAP, 0, SIZE_MAX);
  while (metadata_allocate(64) != nullptr) {
  }
  EXPECT_EQ(nullptr, span_take(1, kSuperslab));
  EXPECT_EQ(nullptr, span_take(10, kSuperslab));
  EXPECT_FALSE(span_extend(first, 2, 1));
  ExpectNothingTakenFrom(2);
  os_fake_reset();
  EXPECT_TRUE(span_extend(first, 2, 1));
  Mark(0, 3, 1);
  ExpectMark(0, 3, 1);
}

// A process whose address space is limited asks for more than there is: that must not cost what there is.
FRESH_TEST(SpanTest, RefusedHugeSpanTakesNoRecords) {
  os_fake_set_limit(size_t{256} << 20);
  ASSERT_TRUE(registry_initialize());
  const size_t metadata = metadata_bytes(), mapped = os_fake_mapped_bytes();
  EXPECT_EQ(nullptr, span_take(registry.superslab_count / 2, kSuperslab));
  EXPECT_EQ(metadata, metadata_bytes());
  EXPECT_EQ(mapped, os_fake_mapped_bytes());
}

// Somebody else's memory in the window.
char *MapForeignPage(size_t number) {
  void *const address = reinterpret_cast<void *>(AddressOf(number) + kSuperslab / 2);
  void *const page =
      mmap(address, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  EXPECT_EQ(address, page);
  memset(page, 0x5A, 4096);
  return static_cast<char *>(page);
}

FRESH_TEST(SpanTest, ForeignMemoryIsLeftAlone) {
  ASSERT_TRUE(registry_initialize());
  const std::string expected(4096, 0x5A);
  std::vector<char *> pages;
  for (const size_t number : {0, 5, 6, 40}) pages.push_back(MapForeignPage(number));
  std::set<size_t> found;
  for (int i = 0; i < 10; ++i) {
    struct superslab *const span = span_take(3, kSuperslab);
    ASSERT_NE(nullptr, span);
    for (size_t j = 0; j < 3; ++j) EXPECT_TRUE(found.insert(NumberOf(span) + j).second);
    Mark(NumberOf(span), 3, static_cast<uint64_t>(i));
  }
  for (const size_t number : {0, 5, 6, 40}) EXPECT_EQ(0u, found.count(number)) << "foreign superslab " << number;
  for (char *page : pages) EXPECT_EQ(expected, std::string(page, 4096));
  // Only what is occupied is lost: its neighbours are found by who fits there.
  for (const size_t number : {4}) {
    struct superslab *const one = span_take(1, kSuperslab);
    ASSERT_NE(nullptr, one);
    EXPECT_EQ(number, NumberOf(one));
  }
  struct superslab *const behind = registry.superslabs[3];
  ASSERT_NE(nullptr, behind);
  EXPECT_EQ(found.size() + 1, span_mapped_superslabs());
}

FRESH_TEST(SpanTest, ForeignMemoryInALongSpanCostsOneSuperslab) {
  ASSERT_TRUE(registry_initialize());
  char *const page = MapForeignPage(70);
  struct superslab *const span = span_take(100, kSuperslab);
  ASSERT_NE(nullptr, span);
  EXPECT_EQ(71u, NumberOf(span));
  struct superslab *const before = span_take(70, kSuperslab);
  ASSERT_NE(nullptr, before);
  EXPECT_EQ(0u, NumberOf(before)) << "what lies before the foreign page is lost";
  EXPECT_EQ(std::string(4096, 0x5A), std::string(page, 4096));
  EXPECT_FALSE(span_extend(before, 70, 1));
}

FRESH_TEST(SpanTest, ForeignMemoryStopsExtension) {
  ASSERT_TRUE(registry_initialize());
  struct superslab *const span = span_take(2, kSuperslab);
  ASSERT_NE(nullptr, span);
  char *const page = MapForeignPage(3);
  EXPECT_FALSE(span_extend(span, 2, 4));
  EXPECT_TRUE(span_extend(span, 2, 1));
  EXPECT_FALSE(span_extend(span, 3, 1));
  EXPECT_EQ(std::string(4096, 0x5A), std::string(page, 4096));
}

FRESH_TEST(SpanTest, HugePagesAreAskedForWhereTheOptionSaysSo) {
  ASSERT_TRUE(registry_initialize());
  ASSERT_NE(nullptr, span_take(2, kSuperslab));
  EXPECT_EQ(0u, os_fake_calls(OS_FAKE_ADVISE));
  options.thp = 1;
  ASSERT_NE(nullptr, span_take(2, kSuperslab));
  EXPECT_EQ(1u, os_fake_calls(OS_FAKE_ADVISE));
}

// A reservation of somebody's of many GiB is passed over in few calls, and what lies behind it is used.
FRESH_TEST(SpanTest, MuchForeignMemoryCostsFewCalls) {
  ASSERT_TRUE(registry_initialize());
  void *const address = reinterpret_cast<void *>(AddressOf(3));
  const size_t bytes = 10000 * kSuperslab;
  ASSERT_EQ(address,
            mmap(address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0));
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(i, NumberOf(span_take(1, kSuperslab)));
  struct superslab *const span = span_take(1, kSuperslab);
  ASSERT_NE(nullptr, span);
  EXPECT_GE(NumberOf(span), 10003u);
  EXPECT_LE(os_fake_calls(OS_FAKE_MAP_AT), 40u);
  // Whole and the last one: when nothing is left, it is looked for again where something was in the way.
  EXPECT_EQ(0, munmap(address, bytes));
  EXPECT_EQ(nullptr, span_take(registry.superslab_count, kSuperslab));
  EXPECT_EQ(3u, NumberOf(span_take(1, kSuperslab)));
}

// Small mappings of somebody's, far apart and ever farther: each costs one superslab, and none of those between is lost.
FRESH_TEST(SpanTest, ScatteredForeignMemoryCostsNoMoreThanItIs) {
  ASSERT_TRUE(registry_initialize());
  for (size_t number = 1; number < registry.superslab_count; number *= 2) MapForeignPage(number);
  std::set<size_t> found;
  for (size_t i = 0; i < 3000; ++i) {
    struct superslab *const span = span_take(1, kSuperslab);
    ASSERT_NE(nullptr, span) << "after " << i;
    EXPECT_TRUE(found.insert(NumberOf(span)).second);
    EXPECT_LT(NumberOf(span), 3000u + 13);
  }
}

// What a large mapping of somebody's made too much of is found again once nothing else is left.
FRESH_TEST(SpanTest, WhatWasPassedOverTooFarIsFoundAgain) {
  ASSERT_TRUE(registry_initialize());
  void *const address = reinterpret_cast<void *>(AddressOf(1));
  const size_t superslabs = registry.superslab_count - 3;
  ASSERT_EQ(address, mmap(address, superslabs * kSuperslab, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0));
  EXPECT_EQ(0u, NumberOf(span_take(1, kSuperslab)));
  ASSERT_EQ(0, munmap(reinterpret_cast<void *>(AddressOf(2000)), (superslabs - 1999) * kSuperslab));
  for (size_t i = 0; i < 100; ++i) EXPECT_NE(nullptr, span_take(1, kSuperslab)) << i;
}

// A system that maps nowhere where it is asked to: there is an answer, and soon.
FRESH_TEST(SpanTest, EverythingIsOccupied) {
  ASSERT_TRUE(registry_initialize());
  os_fake_occupy(SIZE_MAX);
  EXPECT_EQ(nullptr, span_take(1, kSuperslab));
  EXPECT_EQ(nullptr, span_take(10, kSuperslab));
  EXPECT_LT(os_fake_calls(OS_FAKE_MAP_AT), 100000u);
  os_fake_occupy(0);
  EXPECT_NE(nullptr, span_take(1, kSuperslab));
}

FRESH_TEST(SpanTest, AddressesAreGivenBackWhereTheyAreLimited) {
  os_fake_set_limit(size_t{1} << 30);
  ASSERT_TRUE(registry_initialize());
  struct superslab *const span = span_take(3, kSuperslab);
  ASSERT_NE(nullptr, span);
  Mark(0, 3, 1);
  struct superslab *const second = span_next(span);
  const size_t mapped = os_fake_mapped_bytes();
  span_give(span, 3);
  for (struct superslab *superslab : {span, second, span_next(second)}) superslab->zero_slabs = 0;
  second->dirty_slabs = 5;
  ASSERT_TRUE(span_unmap(second));
  EXPECT_EQ(mapped - kSuperslab, os_fake_mapped_bytes());
  EXPECT_EQ(2u, span_mapped_superslabs());
  EXPECT_EQ(UINT32_MAX, second->zero_slabs) << "what is mapped anew is zero";
  EXPECT_EQ(0u, second->dirty_slabs);
  EXPECT_EQ(span, span_take(3, kSuperslab)) << "it is mapped again when it is needed";
  EXPECT_EQ(3u, span_mapped_superslabs());
  EXPECT_EQ(mapped, os_fake_mapped_bytes());
  EXPECT_EQ(hak_test::kNone, hak_test::FirstNonZero(reinterpret_cast<void *>(AddressOf(1)), kSuperslab));
  ExpectMark(0, 1, 1);
  EXPECT_EQ(0u, os_fake_errors());

  // The system may refuse: everything is as before then.
  span_give(span, 3);
  os_fake_fail(OS_FAKE_RELEASE, 0, 1);
  EXPECT_FALSE(span_unmap(span));
  EXPECT_EQ(3u, span_mapped_superslabs());
  ExpectMark(0, 1, 1);
  EXPECT_EQ(span, span_take(3, kSuperslab));
}

// A call that fails under a limit leaves nothing mapped, and what is free and clean can be unmapped for others.
FRESH_TEST(SpanTest, FreeAddressesAreNotHeldUnderALimit) {
  ASSERT_TRUE(registry_initialize());
  struct superslab *const first = span_take(1, kSuperslab), *const second = span_take(1, kSuperslab);
  ASSERT_NE(nullptr, second);
  span_give(first, 1);
  EXPECT_EQ(0u, span_unmap_clean()) << "without a limit";
  os_fake_set_limit(os_fake_mapped_bytes() + 4 * kSuperslab);
  const size_t mapped = os_fake_mapped_bytes();
  // Its first superslab is mapped already; the others are not to be had together.
  span_give(second, 1);
  EXPECT_EQ(nullptr, span_take(100, kSuperslab));
  EXPECT_LE(os_fake_mapped_bytes(), mapped);
  struct superslab *const again = span_take(3, kSuperslab);
  ASSERT_NE(nullptr, again);
  span_give(again, 3);
  span_next(again)->dirty_slabs = 1;
  EXPECT_EQ(2 * kSuperslab, span_unmap_clean()) << "what is dirty is left to the purge queue";
  EXPECT_EQ(1u, span_mapped_superslabs());
  span_next(again)->dirty_slabs = 0;
  EXPECT_EQ(kSuperslab, span_unmap_clean());
  EXPECT_EQ(0u, os_fake_errors());
}

FRESH_TEST(SpanTest, AddressesStayWhereTheyAreNotLimited) {
  ASSERT_TRUE(registry_initialize());
  struct superslab *const span = span_take(1, kSuperslab);
  ASSERT_NE(nullptr, span);
  span_give(span, 1);
  EXPECT_FALSE(span_unmap(span));
  EXPECT_EQ(0u, os_fake_calls(OS_FAKE_RELEASE));
  EXPECT_EQ(1u, span_mapped_superslabs());
}

FRESH_TEST(SpanTest, LimitIsKept) {
  os_fake_set_limit(size_t{64} << 20);
  ASSERT_TRUE(registry_initialize());
  std::vector<struct superslab *> spans;
  while (struct superslab *const span = span_take(1, kSuperslab)) {
    spans.push_back(span);
    ASSERT_LT(spans.size(), 100u);
  }
  EXPECT_GT(spans.size(), 20u);
  EXPECT_LE(os_fake_mapped_bytes(), size_t{64} << 20);
  for (struct superslab *span : spans) span_give(span, 1);
  EXPECT_EQ(spans[0], span_take(spans.size(), kSuperslab));
}

}  // namespace
