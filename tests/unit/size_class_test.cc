// SPDX-License-Identifier: Apache-2.0
//
// The size-class tables against their definition, for every size, alignment and offset: base/size_class.

#include "allocator/base/size_class.h"

#include <gtest/gtest.h>

#include <string>

namespace {

bool IsPowerOfTwo(size_t number) { return number != 0 && (number & (number - 1)) == 0; }

size_t RunBytes(const struct size_class &c) { return static_cast<size_t>(c.run_slabs) << HAK_SLAB_SHIFT; }

TEST(SizeClassTest, EverySizeGetsTheSmallestClassThatHoldsIt) {
  for (size_t size = 0; size <= HAK_SMALL_MAX; ++size) {
    const unsigned size_class = size_class_of(size);
    ASSERT_GE(size_class, 1u) << "size " << size;
    ASSERT_LE(size_class, static_cast<unsigned>(HAK_CLASS_SMALL_LAST)) << "size " << size;
    ASSERT_GE(size_class_usable(size_class), size);
    if (size_class > 1) {
      ASSERT_LT(size_class_usable(size_class - 1), size) << "a smaller class would do for size " << size;
    }
  }
}

TEST(SizeClassTest, NoClassIsWithoutSizes) {
  for (unsigned size_class = 1; size_class <= HAK_CLASS_SMALL_LAST; ++size_class) {
    const size_t usable = size_class_usable(size_class);
    const size_t greatest = usable < HAK_SMALL_MAX ? usable : HAK_SMALL_MAX;
    EXPECT_EQ(size_class, size_class_of(greatest)) << "size " << greatest;
  }
}

// Four classes to each doubling: no more than a quarter of a block is lost, but for the smallest.
TEST(SizeClassTest, LittleOfABlockIsLost) {
  for (size_t size = 64; size <= HAK_SMALL_MAX; ++size) {
    const size_t needed = size + HAK_HEADER_BYTES;
    ASSERT_LE(size_classes[size_class_of(size)].stride, needed + needed / 4) << "size " << size;
  }
}

TEST(SizeClassTest, ClassZeroIsEmpty) {
  EXPECT_EQ(0u, size_classes[0].stride);
  EXPECT_EQ(0u, size_classes[0].blocks);
  EXPECT_EQ(0u, size_classes[0].run_slabs);
}

TEST(SizeClassTest, BlocksFillTheirRuns) {
  for (unsigned i = 1; i < HAK_CLASS_COUNT; ++i) {
    SCOPED_TRACE("class " + std::to_string(i));
    const struct size_class &c = size_classes[i];
    EXPECT_TRUE(IsPowerOfTwo(c.alignment));
    EXPECT_GE(c.alignment, static_cast<uint32_t>(HAK_ALIGNMENT));
    EXPECT_EQ(0u, c.stride % c.alignment) << "some block would not be aligned";
    EXPECT_EQ(0u, c.first_offset % c.alignment);
    EXPECT_GE(c.first_offset, static_cast<uint32_t>(HAK_HEADER_BYTES))
        << "the first block's header lies before the run";
    EXPECT_GE(c.run_slabs, 1u);
    EXPECT_LE(c.run_slabs, static_cast<unsigned>(HAK_CLASS_MAX_RUN_SLABS));
    EXPECT_LE(c.blocks, static_cast<uint32_t>(HAK_CLASS_MAX_BLOCKS));
    // A block's user bytes end before the header of the next one.
    const size_t end = c.first_offset + static_cast<size_t>(c.blocks) * c.stride - HAK_HEADER_BYTES;
    EXPECT_LE(end, RunBytes(c));
    EXPECT_GT(end + c.stride, RunBytes(c)) << "the run has room for one more block";
    // The tables' promise: no class wastes more than a thirtieth of its run or so.
    EXPECT_LE((RunBytes(c) - static_cast<size_t>(c.blocks) * c.stride) * 30, RunBytes(c));
  }
}

TEST(SizeClassTest, StridesAscend) {
  for (unsigned i = 2; i < HAK_CLASS_COUNT; ++i) {
    if (i == HAK_CLASS_ALIGNED_FIRST) continue;
    EXPECT_LT(size_classes[i - 1].stride, size_classes[i].stride) << "class " << i;
  }
  EXPECT_EQ(HAK_CLASS_SMALL_LAST + 1, HAK_CLASS_ALIGNED_FIRST);
}

TEST(SizeClassTest, ReciprocalDividesEveryOffset) {
  for (unsigned i = 1; i < HAK_CLASS_COUNT; ++i) {
    const struct size_class &c = size_classes[i];
    for (uint64_t offset = 0; offset < RunBytes(c); ++offset) {
      ASSERT_EQ(offset / c.stride, offset * c.reciprocal >> HAK_RECIPROCAL_SHIFT) << "class " << i << ", " << offset;
    }
  }
}

TEST(SizeClassTest, AlignedRequestsGetTheSmallestAlignedClass) {
  for (size_t alignment = 2 * HAK_ALIGNMENT; alignment <= HAK_SUPERSLAB_BYTES; alignment *= 2) {
    for (size_t size = 0; size <= 20000; ++size) {
      unsigned best = 0;
      for (unsigned i = HAK_CLASS_ALIGNED_FIRST; i < HAK_CLASS_COUNT; ++i) {
        const struct size_class &c = size_classes[i];
        const bool fits = c.alignment >= alignment && c.stride >= size + HAK_HEADER_BYTES;
        if (fits && (best == 0 || c.stride < size_classes[best].stride)) best = i;
      }
      ASSERT_EQ(best, size_class_of_aligned(size, alignment)) << "size " << size << ", alignment " << alignment;
    }
  }
}

TEST(SizeClassTest, HugeAlignedRequestsHaveNoClass) {
  EXPECT_EQ(0u, size_class_of_aligned(SIZE_MAX, 64));
  EXPECT_EQ(0u, size_class_of_aligned(SIZE_MAX - 1, 64));
  EXPECT_EQ(0u, size_class_of_aligned(static_cast<size_t>(1) << 32, 64));
  EXPECT_EQ(0u, size_class_of_aligned(1, static_cast<size_t>(1) << 63));
}

}  // namespace
