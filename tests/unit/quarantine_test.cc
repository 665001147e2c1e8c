// SPDX-License-Identifier: Apache-2.0
//
// The limits of a quarantine, and that it is first in, first out: thread_cache/quarantine.

#include "allocator/thread_cache/quarantine.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>

#include "allocator/base/options.h"
#include "allocator/base/size_class.h"
#include "tests/unit/test_support.h"

namespace {

struct quarantine Begun(unsigned size_class, uint32_t blocks, uint32_t kib) {
  options.box_quarantine_blocks = blocks;
  options.box_quarantine_kib = kib;
  struct quarantine quarantine = {};
  quarantine_begin(&quarantine, size_class);
  return quarantine;
}

TEST(QuarantineTest, BlocksAndBytesAreLimits) {
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
    SCOPED_TRACE("class " + std::to_string(size_class));
    const size_t stride = size_classes[size_class].stride;
    for (const uint32_t blocks : {1u, 64u, 65536u}) {
      for (const uint32_t kib : {1u, 256u, 1048576u}) {
        const struct quarantine quarantine = Begun(size_class, blocks, kib);
        EXPECT_LE(quarantine.least, blocks);
        EXPECT_LE(quarantine.least * stride, size_t{kib} << 10);
        // One of them is used up.
        if (quarantine.least < blocks) EXPECT_GT((quarantine.least + 1) * stride, size_t{kib} << 10);
        EXPECT_EQ(quarantine.least + quarantine.least / 2, quarantine.most);
      }
    }
  }
}

TEST(QuarantineTest, LargeBlocksAreCountedByTheirBytes) { EXPECT_EQ(64u, Begun(0, 64, 1).least); }

TEST(QuarantineTest, EitherOptionTurnsItOff) {
  for (const unsigned size_class : {0u, 1u, 30u}) {
    EXPECT_EQ(0u, Begun(size_class, 0, 256).most);
    EXPECT_EQ(0u, Begun(size_class, 64, 0).most);
  }
}

TEST(QuarantineTest, FirstInFirstOut) {
  hak_test::Random random(hak_test::FirstSeed());
  struct quarantine quarantine = Begun(1, 64, 256);
  struct block_record records[100] = {};
  struct block blocks[100];
  std::deque<size_t> inside, outside;
  for (size_t i = 0; i < 100; ++i) outside.push_back(i);
  for (int step = 0; step < 2000; ++step) {
    if (!outside.empty() && (inside.empty() || random.OneIn(2))) {
      const size_t number = outside.front();
      outside.pop_front();
      quarantine_add(&quarantine, &blocks[number], &records[number]);
      inside.push_back(number);
    } else {
      const size_t number = inside.front();
      inside.pop_front();
      ASSERT_EQ(&blocks[number], quarantine.first);
      quarantine_remove(&quarantine, &records[number]);
      outside.push_back(number);
    }
    ASSERT_EQ(inside.size(), quarantine.count);
  }
}

}  // namespace
