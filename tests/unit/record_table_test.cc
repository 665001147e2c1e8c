// SPDX-License-Identifier: Apache-2.0
//
// Memory for the Box's records of blocks: shared_pool/record_table.

#include "allocator/shared_pool/record_table.h"

#include <gtest/gtest.h>
#include <string.h>

#include <chrono>
#include <set>
#include <thread>
#include <vector>

#include "allocator/base/size_class.h"
#include "allocator/os/os.h"
#include "allocator/os/os_memory_fake.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"

namespace {

using hak_test::FirstNonZero;
using hak_test::kNone;

constexpr size_t kPage = 4096, kRecord = sizeof(struct block_record);
constexpr uint32_t kOnePage = kPage / kRecord;  // so many blocks

struct slab Take(uint32_t blocks) {
  struct slab run = {};
  EXPECT_TRUE(record_table_take(&run, blocks));
  return run;
}

void Give(const struct slab &run) { record_table_give(run.records, run.record_pages); }

void Write(const struct slab &run, uint32_t blocks) { memset(run.records, 0x5A, blocks * kRecord); }

// Every count that a size class has, and those around a page.
FRESH_TEST(RecordTableTest, TablesAreZeroAndLargeEnough) {
  std::set<uint32_t> counts = {1, kOnePage - 1, kOnePage, kOnePage + 1, 2 * kOnePage, 2 * kOnePage + 1};
  for (unsigned i = 1; i < HAK_CLASS_COUNT; ++i) counts.insert(size_classes[i].blocks);
  std::set<struct block_record *> tables;
  std::vector<std::pair<struct slab, uint32_t>> taken;
  for (const uint32_t blocks : counts) {
    SCOPED_TRACE(blocks);
    const size_t before = os_fake_mapped_bytes();
    const struct slab run = Take(blocks);
    EXPECT_EQ((blocks * kRecord + kPage - 1) / kPage, run.record_pages);
    EXPECT_EQ(before + run.record_pages * kPage, os_fake_mapped_bytes());
    EXPECT_EQ(kNone, FirstNonZero(run.records, run.record_pages * kPage));
    EXPECT_TRUE(tables.insert(run.records).second) << "given out twice";
    hak_test::FillPattern(run.records, run.record_pages * kPage, blocks);
    taken.push_back({run, blocks});
  }
  for (const auto &[run, blocks] : taken) {
    EXPECT_EQ(kNone, hak_test::FirstWrongByte(run.records, run.record_pages * kPage, blocks)) << "tables overlap";
  }
}

FRESH_TEST(RecordTableTest, TablesAreUsedAgainByRunsOfAnyClass) {
  const struct slab first = Take(kOnePage + 1), other = Take(1);
  Write(first, kOnePage + 1);
  Give(first);
  const size_t maps = os_fake_calls(OS_FAKE_MAP);
  // Of another number of pages, it is not for them.
  const struct slab small = Take(kOnePage);
  EXPECT_NE(first.records, small.records);
  EXPECT_EQ(maps + 1, os_fake_calls(OS_FAKE_MAP));
  const struct slab again = Take(2 * kOnePage);
  EXPECT_EQ(first.records, again.records);
  EXPECT_EQ(2u, again.record_pages);
  EXPECT_EQ(maps + 1, os_fake_calls(OS_FAKE_MAP));
  EXPECT_EQ(kNone, FirstNonZero(again.records, 2 * kPage));
  EXPECT_NE(first.records, Take(2 * kOnePage).records) << "given out twice";
  (void)other;
}

FRESH_TEST(RecordTableTest, TablesInReserveKeepNoMemory) {
  std::vector<struct slab> runs;
  for (int i = 0; i < 10; ++i) {
    runs.push_back(Take(3 * kOnePage));
    Write(runs.back(), 3 * kOnePage);
  }
  for (const struct slab &run : runs) Give(run);
  EXPECT_EQ(10 * 3 * kPage, os_fake_purged_bytes());
  EXPECT_EQ(10u, os_fake_calls(OS_FAKE_PURGE));
  EXPECT_EQ(0u, os_fake_calls(OS_FAKE_RELEASE));
  std::set<struct block_record *> known, again;
  for (const struct slab &run : runs) known.insert(run.records);
  for (int i = 0; i < 10; ++i) {
    const struct slab run = Take(3 * kOnePage);
    EXPECT_EQ(kNone, FirstNonZero(run.records, 3 * kPage));
    again.insert(run.records);
  }
  EXPECT_EQ(known, again);
  EXPECT_EQ(10u, os_fake_calls(OS_FAKE_MAP));
  EXPECT_EQ(0u, os_fake_errors());
}

// The system does not take it: it is zero all the same.
FRESH_TEST(RecordTableTest, WhatCannotBePurgedIsCleared) {
  const struct slab run = Take(kOnePage);
  Write(run, kOnePage);
  os_fake_fail(OS_FAKE_PURGE, 0, SIZE_MAX);
  Give(run);
  const struct slab again = Take(kOnePage);
  EXPECT_EQ(run.records, again.records);
  EXPECT_EQ(kNone, FirstNonZero(again.records, kPage));
}

FRESH_TEST(RecordTableTest, WithoutMemoryTheRunStaysAsItWas) {
  struct slab run = {}, before;
  memset(&run, 0x11, sizeof run);
  before = run;
  os_fake_fail(OS_FAKE_MAP, 0, 1);
  EXPECT_FALSE(record_table_take(&run, kOnePage));
  EXPECT_EQ(0, memcmp(&before, &run, sizeof run));
  EXPECT_TRUE(record_table_take(&run, kOnePage)) << "it is not tried again";
  // What is in reserve needs none.
  Give(run);
  os_fake_fail(OS_FAKE_MAP, 0, SIZE_MAX);
  EXPECT_TRUE(record_table_take(&run, kOnePage));
  EXPECT_FALSE(record_table_take(&run, kOnePage));
}

FRESH_TEST(RecordTableTest, UnderALimitNoneIsKept) {
  os_fake_set_limit(size_t{1} << 30);
  const struct slab run = Take(kOnePage);
  const size_t mapped = os_fake_mapped_bytes();
  Write(run, kOnePage);
  Give(run);
  EXPECT_EQ(mapped - kPage, os_fake_mapped_bytes());
  EXPECT_EQ(1u, os_fake_calls(OS_FAKE_RELEASE));
  EXPECT_EQ(0u, os_fake_calls(OS_FAKE_PURGE));
  const struct slab fresh = Take(kOnePage);
  EXPECT_EQ(2u, os_fake_calls(OS_FAKE_MAP));
  // Unless the system does not take it back.
  Write(fresh, kOnePage);
  os_fake_fail(OS_FAKE_RELEASE, 0, 1);
  Give(fresh);
  const struct slab again = Take(kOnePage);
  EXPECT_EQ(fresh.records, again.records);
  EXPECT_EQ(kNone, FirstNonZero(again.records, kPage));
  EXPECT_EQ(2u, os_fake_calls(OS_FAKE_MAP));
}

// A thread that was given a pointer that is no block's may be reading one that another thread gives back.
FRESH_TEST(RecordTableTest, WhatMayBeReadStaysMapped) {
  os_fake_set_limit(size_t{1} << 30);
  const struct slab run = Take(kOnePage);
  const size_t mapped = os_fake_mapped_bytes();
  Write(run, kOnePage);
  record_table_read_begin();
  record_table_read_begin();
  record_table_read_end();
  Give(run);
  EXPECT_EQ(mapped, os_fake_mapped_bytes());
  EXPECT_EQ(kPage, os_fake_purged_bytes());
  EXPECT_EQ(kNone, FirstNonZero(run.records, kPage));
  record_table_read_end();
  const struct slab again = Take(kOnePage);
  EXPECT_EQ(run.records, again.records);
  Give(again);
  EXPECT_EQ(mapped - kPage, os_fake_mapped_bytes());
  // Of a reader that does not come back, a child of a fork knows nothing.
  record_table_read_begin();
  record_table_forget_readers();
  Give(Take(kOnePage));
  EXPECT_EQ(mapped - kPage, os_fake_mapped_bytes());
}

FRESH_TEST(RecordTableTest, ThreadsGetTablesOfTheirOwn) {
  constexpr int kThreads = 4, kRounds = 300;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([i] {
      for (int round = 0; round < kRounds; ++round) {
        std::vector<struct slab> runs;
        for (uint32_t j = 0; j < 5; ++j) {
          runs.push_back(Take(kOnePage));
          ASSERT_EQ(kNone, FirstNonZero(runs.back().records, kPage));
          memset(runs.back().records, i + 1, kPage);
        }
        for (const struct slab &run : runs) {
          const unsigned char *const bytes = reinterpret_cast<const unsigned char *>(run.records);
          ASSERT_EQ(i + 1, bytes[0]);
          ASSERT_EQ(0, memcmp(bytes, bytes + 1, kPage - 1)) << "somebody else has it too";
          Give(run);
        }
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_LE(os_fake_calls(OS_FAKE_MAP), static_cast<size_t>(kThreads * 5)) << "tables get lost";
}

// fork holds the lock while the process is copied.
FRESH_TEST(RecordTableTest, LockKeepsOthersOut) {
  record_table_lock();
  std::thread other([] { Take(kOnePage); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(0u, os_fake_calls(OS_FAKE_MAP)) << "somebody got in";
  record_table_unlock();
  other.join();
  EXPECT_EQ(1u, os_fake_calls(OS_FAKE_MAP));
}

}  // namespace
