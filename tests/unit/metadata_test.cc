// SPDX-License-Identifier: Apache-2.0
//
// Memory for the allocator's own records: page_arena/metadata.

#include "allocator/page_arena/metadata.h"

#include <gtest/gtest.h>
#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "allocator/base/config.h"
#include "allocator/os/os_memory_fake.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"

namespace {

using hak_test::FirstNonZero;
using hak_test::IsAligned;
using hak_test::kMiB;
using hak_test::kNone;
using hak_test::Random;

// What has been handed out: start and bytes.
using Ranges = std::vector<std::pair<uintptr_t, size_t>>;

void TakeAndFill(size_t bytes, Ranges *ranges) {
  void *const memory = metadata_allocate(bytes);
  ASSERT_NE(nullptr, memory);
  EXPECT_TRUE(IsAligned(memory, HAK_CACHE_LINE));
  EXPECT_EQ(kNone, FirstNonZero(memory, bytes)) << bytes << " bytes";
  memset(memory, 0xAB, bytes);
  ranges->push_back({reinterpret_cast<uintptr_t>(memory), bytes});
}

void ExpectDisjoint(Ranges ranges) {
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i) {
    ASSERT_GE(ranges[i].first, ranges[i - 1].first + ranges[i - 1].second) << "two records overlap";
  }
}

FRESH_TEST(MetadataTest, RecordsAreZeroAlignedAndDisjoint) {
  Random random(hak_test::FirstSeed());
  Ranges ranges;
  EXPECT_EQ(0u, metadata_bytes());
  size_t least = 0;
  for (int i = 0; i < 2000; ++i) {
    const size_t bytes = random.OneIn(200) ? random.Between(1, 2 * kMiB) : random.Between(1, 5000);
    ASSERT_NO_FATAL_FAILURE(TakeAndFill(bytes, &ranges));
    least += bytes;
    EXPECT_GE(metadata_bytes(), least);
    EXPECT_LE(metadata_bytes(), least + ranges.size() * HAK_CACHE_LINE);
  }
  ExpectDisjoint(ranges);
}

// The system is asked for a chunk at a time.
FRESH_TEST(MetadataTest, SmallRecordsShareAChunk) {
  Ranges ranges;
  for (int i = 0; i < 100; ++i) TakeAndFill(100, &ranges);
  EXPECT_EQ(1u, os_fake_calls(OS_FAKE_MAP));
  EXPECT_EQ(100u * 128, metadata_bytes()) << "whole cache lines";
}

FRESH_TEST(MetadataTest, WithoutMemoryThereIsNoRecordAndNothingChanges) {
  os_fake_fail(OS_FAKE_MAP, 0, 1);
  EXPECT_EQ(nullptr, metadata_allocate(64));
  EXPECT_EQ(0u, metadata_bytes());
  Ranges ranges;
  ASSERT_NO_FATAL_FAILURE(TakeAndFill(64, &ranges)) << "it is not tried again";

  // What is left of the chunk serves small records although a large one cannot be had.
  const size_t before = metadata_bytes();
  os_fake_fail(OS_FAKE_MAP, 0, SIZE_MAX);
  EXPECT_EQ(nullptr, metadata_allocate(kMiB));
  EXPECT_EQ(before, metadata_bytes());
  ASSERT_NO_FATAL_FAILURE(TakeAndFill(1000, &ranges));
  size_t more = 0;
  while (void *const memory = metadata_allocate(1024)) {
    ranges.push_back({reinterpret_cast<uintptr_t>(memory), 1024});
    ASSERT_LT(++more, 100000u);
  }
  EXPECT_GT(more, 0u);
  os_fake_reset();
  ASSERT_NO_FATAL_FAILURE(TakeAndFill(1024, &ranges));
  ExpectDisjoint(ranges);
}

FRESH_TEST(MetadataTest, ThreadsGetRecordsOfTheirOwn) {
  const int thread_count = 4, records = 500;
  Ranges ranges[thread_count];
  std::vector<std::thread> threads;
  for (Ranges &own : ranges) {
    threads.emplace_back([&own] {
      for (int i = 0; i < records; ++i) TakeAndFill(static_cast<size_t>(1 + i % 700), &own);
    });
  }
  for (std::thread &thread : threads) thread.join();
  Ranges all;
  for (const Ranges &own : ranges) all.insert(all.end(), own.begin(), own.end());
  EXPECT_EQ(static_cast<size_t>(thread_count * records), all.size());
  ExpectDisjoint(all);
}

// fork holds the lock while the process is copied.
FRESH_TEST(MetadataTest, LockKeepsOthersOut) {
  metadata_lock();
  std::thread other([] {
    EXPECT_NE(nullptr, metadata_allocate(64));
    EXPECT_EQ(64u, metadata_bytes());
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(0u, os_fake_calls(OS_FAKE_MAP)) << "somebody got in";
  metadata_unlock();
  other.join();
  EXPECT_EQ(1u, os_fake_calls(OS_FAKE_MAP));
}

}  // namespace
