// SPDX-License-Identifier: Apache-2.0
//
// hak_realloc and hak_reallocarray: contents across every class boundary and between small, large and huge blocks; size
// 0 and NULL; failure leaves the block as it was; over-aligned blocks.

#include "tests/unit/test_support.h"

namespace hak_test {
namespace {

using ApiRealloc = AllocatorTest;

// Sizes on both sides of each class's limit, of the step to large blocks and of that to huge ones.
std::vector<size_t> SizesAroundBoundaries() {
  std::vector<size_t> sizes;
  size_t previous = 0;
  for (size_t boundary : ClassBoundaries()) {
    sizes.push_back(boundary);
    // Under a sanitizer every other class will do.
    if (HAK_TEST_SLOWDOWN > 1 && sizes.size() % 2 == 0) sizes.pop_back();
    if (boundary > 2 * previous) {
      sizes.push_back(boundary + 1);
      previous = boundary;
    }
  }
  for (size_t size : {70000, 150000, 500000, 1048576, 1048577, 2097152, 3000000}) sizes.push_back(size);
  return sizes;
}

void ReallocBothWays(size_t from, size_t to, uint64_t key) {
  void *block = hak_malloc(from);
  ASSERT_NE(nullptr, block);
  const size_t filled = hak_usable_size(block);
  FillPattern(block, filled, key);
  void *const moved = hak_realloc(block, to);
  ASSERT_NE(nullptr, moved);
  ASSERT_TRUE(IsAligned(moved, 16));
  const size_t usable = hak_usable_size(moved);
  ASSERT_GE(usable, to);
  const size_t kept = from < to ? from : to;
  ASSERT_EQ(kNone, FirstWrongByte(moved, kept, key));
  // What is usable is writable, and the next step back finds it.
  FillPattern(moved, usable, key + 1);
  void *const back = hak_realloc(moved, from);
  ASSERT_NE(nullptr, back);
  ASSERT_GE(hak_usable_size(back), from);
  ASSERT_EQ(kNone, FirstWrongByte(back, kept, key + 1));
  hak_free(back);
}

TEST_F(ApiRealloc, KeepsContentsBetweenAllPairsOfSizes) {
  const std::vector<size_t> sizes = SizesAroundBoundaries();
  ASSERT_GT(sizes.size(), 20u);
  uint64_t key = 1;
  for (size_t from : sizes) {
    for (size_t to : sizes) {
      if (from > to || (from > kMiB && HAK_TEST_SLOWDOWN > 1)) continue;
      ReallocBothWays(from, to, key += 2);
      ReallocBothWays(to, from, key += 2);
      ASSERT_FALSE(HasFatalFailure()) << "between " << from << " and " << to;
    }
  }
}

TEST_F(ApiRealloc, GrowsStepByStepAndShrinksAgain) {
  for (size_t step : {1, 7, 16, 1000, 30000}) {
    SCOPED_TRACE("steps of " + std::to_string(step));
    const size_t last = step * Scaled(3000) < 4 * kMiB ? step * Scaled(3000) : 4 * kMiB;
    void *block = nullptr;
    size_t filled = 0;
    for (size_t size = step; size <= last; size += step) {
      block = hak_realloc(block, size);
      ASSERT_NE(nullptr, block);
      ASSERT_EQ(kNone, FirstWrongByte(block, filled, step));
      if (hak_usable_size(block) > filled) FillPattern(block, filled = size, step);
    }
    for (size_t size = last; size > step; size -= step) {
      block = hak_realloc(block, size);
      ASSERT_NE(nullptr, block);
      ASSERT_EQ(kNone, FirstWrongByte(block, size < filled ? size : filled, step));
    }
    hak_free(block);
  }
}

TEST_F(ApiRealloc, HugeBlocksGrowAndShrink) {
  const size_t sizes[] = {kMiB + 1, 5 * kMiB, 40 * kMiB, 8 * kMiB, 65 * kMiB, 100, 3 * kMiB, 2 * kMiB + 1, 40000};
  void *block = hak_malloc(1);
  size_t filled = 1;
  FillPattern(block, filled, 9);
  for (size_t size : sizes) {
    block = hak_realloc(block, size);
    ASSERT_NE(nullptr, block);
    ASSERT_EQ(kNone, FirstWrongByte(block, size < filled ? size : filled, 9)) << size;
    filled = hak_usable_size(block);
    ASSERT_GE(filled, size);
    FillPattern(block, filled, 9);
    LiveModel model;
    model.Add(block);
    const hak_statistics s = Statistics();
    model.ExpectEqual(s);
    ExpectFiguresAddUp(s);
  }
  hak_free(block);
}

// A block that shrank a lot does not keep its old memory for long.
TEST_F(ApiRealloc, ShrinkingGivesMemoryBack) {
  for (size_t size : {64 * kMiB, kMiB, 200 * kKiB, size_t{20000}}) {
    for (size_t smaller : {size / 16, size_t{10}}) {
      void *block = hak_malloc(size);
      ASSERT_NE(nullptr, block);
      memset(block, 1, size);
      block = hak_realloc(block, smaller);
      ASSERT_NE(nullptr, block);
      EXPECT_LE(hak_usable_size(block), 2 * smaller + 64 * kKiB) << "from " << size << " to " << smaller;
      hak_free(block);
    }
  }
}

TEST_F(ApiRealloc, OfNullIsMalloc) {
  for (size_t size : {0, 1, 100, 100000, 5000000}) {
    void *const block = hak_realloc(nullptr, size);
    ASSERT_NE(nullptr, block) << size;
    EXPECT_GE(hak_usable_size(block), size);
    EXPECT_TRUE(IsAligned(block, 16));
    hak_free(block);
    void *const array = hak_reallocarray(nullptr, 2, size);
    ASSERT_NE(nullptr, array) << size;
    EXPECT_GE(hak_usable_size(array), 2 * size);
    hak_free(array);
  }
}

TEST_F(ApiRealloc, ToZeroFreesAndReturnsNull) {
  for (size_t size : {0, 1, 100, 32768, 100000, 1048577, 5000000}) {
    EXPECT_EQ(nullptr, hak_realloc(hak_malloc(size), 0)) << size;
    ExpectNothingLive("after realloc(p, 0)");
    EXPECT_EQ(nullptr, hak_reallocarray(hak_malloc(size), 0, 10)) << size;
    EXPECT_EQ(nullptr, hak_reallocarray(hak_malloc(size), SIZE_MAX, 0)) << size;
    EXPECT_EQ(nullptr, hak_realloc(hak_aligned_alloc(4096, size), 0)) << size;
    ExpectNothingLive("after reallocarray(p, 0, n), reallocarray(p, n, 0) and realloc of an aligned block");
  }
}

TEST_F(ApiRealloc, FailureLeavesTheBlockAsItWas) {
  for (size_t size : {0, 1, 15, 16, 100, 4000, 32768, 32784, 100000, 1048576, 1048577, 5000000}) {
    SCOPED_TRACE("block of " + std::to_string(size));
    void *const block = hak_malloc(size);
    ASSERT_NE(nullptr, block);
    const size_t usable = hak_usable_size(block);
    FillPattern(block, usable, size);
    for (size_t impossible : {SIZE_MAX, SIZE_MAX - 16, kPtrdiffMax + 1, kPtrdiffMax, size_t{1} << 48}) {
      errno = 0;
      EXPECT_EQ(nullptr, hak_realloc(block, impossible));
      EXPECT_EQ(ENOMEM, errno) << impossible;
    }
    for (auto [count, each] : {std::pair<size_t, size_t>{SIZE_MAX / 2, 3},
                               {3, SIZE_MAX / 2},
                               {size_t{1} << 32, size_t{1} << 32},
                               {(size_t{1} << 32) + 1, size_t{1} << 32},
                               {SIZE_MAX, SIZE_MAX},
                               {2, kPtrdiffMax},
                               {1, kPtrdiffMax + 1}}) {
      errno = 0;
      EXPECT_EQ(nullptr, hak_reallocarray(block, count, each));
      EXPECT_EQ(ENOMEM, errno) << count << " * " << each;
    }
    EXPECT_EQ(usable, hak_usable_size(block));
    EXPECT_EQ(kNone, FirstWrongByte(block, usable, size));
    LiveModel model;
    model.Add(block);
    model.ExpectEqual(Statistics());
    hak_free(block);
  }
}

TEST_F(ApiRealloc, ReallocarrayMultiplies) {
  void *block = hak_reallocarray(nullptr, 10, 10);
  ASSERT_NE(nullptr, block);
  ASSERT_GE(hak_usable_size(block), 100u);
  FillPattern(block, 100, 3);
  block = hak_reallocarray(block, 1000, 1000);
  ASSERT_NE(nullptr, block);
  ASSERT_GE(hak_usable_size(block), 1000000u);
  EXPECT_EQ(kNone, FirstWrongByte(block, 100, 3));
  block = hak_reallocarray(block, 5, 7);
  ASSERT_NE(nullptr, block);
  EXPECT_EQ(kNone, FirstWrongByte(block, 35, 3));
  hak_free(block);
}

TEST_F(ApiRealloc, OfAnAlignedBlock) {
  for (size_t alignment = 1; alignment <= 4 * kMiB; alignment *= 2) {
    for (size_t from : {0, 10, 64, 5000, 70000, 1500000}) {
      for (size_t to : {1, 60, 5500, 32768, 80000, 2000000}) {
        void *block = hak_aligned_alloc(alignment, from);
        ASSERT_NE(nullptr, block);
        ASSERT_TRUE(IsAligned(block, alignment));
        FillPattern(block, hak_usable_size(block), alignment + from);
        block = hak_realloc(block, to);
        ASSERT_NE(nullptr, block);
        ASSERT_TRUE(IsAligned(block, 16));
        ASSERT_GE(hak_usable_size(block), to);
        ASSERT_EQ(kNone, FirstWrongByte(block, from < to ? from : to, alignment + from))
            << "alignment " << alignment << ", from " << from << " to " << to;
        hak_free(block);
      }
    }
  }
}

// Up to half of a superslab there are no spans. But a block in one of which half is used stays where it is.
TEST_F(ApiRealloc, ToExactlyHalfOfASuperslab) {
  const size_t superslab = 2 * kMiB;
  // More aligned than runs are.
  void *const block = hak_aligned_alloc(size_t{1} << 17, superslab - 4096);
  ASSERT_NE(nullptr, block);
  FillPattern(block, superslab / 2, 1);
  void *const half = hak_realloc(block, superslab / 2);
  EXPECT_EQ(block, half);
  ASSERT_NE(nullptr, half);
  EXPECT_EQ(kNone, FirstWrongByte(half, superslab / 2, 1));
  EXPECT_GE(hak_usable_size(half), superslab / 2);
  void *const less = hak_realloc(half, superslab / 2 - 1);
  EXPECT_NE(block, less) << "it is in a run now";
  ASSERT_NE(nullptr, less);
  EXPECT_EQ(kNone, FirstWrongByte(less, superslab / 2 - 1, 1));
  hak_free(less);
}

}  // namespace
}  // namespace hak_test
