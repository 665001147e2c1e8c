// SPDX-License-Identifier: Apache-2.0
//
// What a child takes over after fork of the caches of threads that it does not have: thread_cache/thread_cache,
// thread_cache/thread_record.
#include <unistd.h>

#include <atomic>

#include "tests/unit/thread_cache_support.h"

namespace hak_test {
namespace {

// A child has what the other threads had cached, in the pool; and its own cache as it was.
FRESH_TEST(ThreadCacheTest, AChildAdoptsWhatOtherThreadsHad) {
  ASSERT_TRUE(Start());
  FillCache(kClass, 4, true);
  PausedThread first([] { FillCache(kClass, 9, true); });
  PausedThread second([] {
    FillCache(kClass, 6, false);
    FillCache(kOtherClass, 0, true);
  });
  const size_t outside = StatisticsOf(kClass).blocks_outside;
  const size_t other_outside = StatisticsOf(kOtherClass).blocks_outside;
  ASSERT_EQ(2 * Full(kClass) + 19, thread_cache_count_blocks(kClass));
  ExpectInChild([&] {
    thread_cache_adopt_after_fork();
    EXPECT_EQ(1u, thread_cache_count_threads());
    ExpectCache(kClass, 4, Full(kClass));
    EXPECT_EQ(Full(kClass) + 4, thread_cache_count_blocks(kClass));
    EXPECT_EQ(0u, thread_cache_count_blocks(kOtherClass));
    ExpectPool(kClass, outside, Full(kClass) + 15);
    ExpectPool(kOtherClass, other_outside, Full(kOtherClass));
    // All of it can be used, and nothing else is taken for that.
    AllocateMany(kClass, 2 * Full(kClass) + 19);
    AllocateMany(kOtherClass, Full(kOtherClass));
    ExpectPool(kClass, outside, 0);
    ExpectPool(kOtherClass, other_outside, 0);
    thread_cache_adopt_after_fork();
    EXPECT_EQ(1u, thread_cache_count_threads());
  });
  EXPECT_EQ(3u, thread_cache_count_threads());
  EXPECT_EQ(2 * Full(kClass) + 19, thread_cache_count_blocks(kClass));
}

// A thread that is stopped between the stores of a push or pop has a count that is off by one.
FRESH_TEST(ThreadCacheTest, AChildCountsListsAgain) {
  ASSERT_TRUE(Start());
  ASSERT_NE(nullptr, Allocate(kClass));
  for (const int32_t wrong : {-1, 1}) {
    PausedThread thread(
        [wrong] {
          FillCache(kClass, 8, true);
          thread_cache.rooms[kClass] += wrong;
        },
        [wrong] { thread_cache.rooms[kClass] -= wrong; });
    const struct shared_pool_statistics before = StatisticsOf(kClass);
    ExpectInChild([&] {
      thread_cache_adopt_after_fork();
      ExpectPool(kClass, before.blocks_outside, before.blocks_chained + Full(kClass) + 8);
      shared_pool_drain();
      ExpectPool(kClass, before.blocks_outside - before.blocks_chained - Full(kClass) - 8, 0);
    });
  }
}

// A thread that is stopped while it takes a block out of its quarantine has a count that is one too great.
FRESH_TEST(ThreadCacheTest, AChildAdoptsAQuarantineAsFarAsItGoes) {
  if (HAK_CHECKS_LEVEL != HAK_CHECKS_BOX) return;
  ASSERT_TRUE(Start());
  ASSERT_NE(nullptr, Allocate(kClass));
  static struct block *retired;
  PausedThread thread(
      [] {
        retired = Retired(kClass, Allocate(kClass));
        struct thread_record *const record = thread_cache.record;
        quarantine_add(&record->quarantines[kClass], retired, block_record_of(retired));
        record->quarantines[kClass].count++;
        record->quarantines[0].count++;
      },
      [] {
        struct thread_record *const record = thread_cache.record;
        record->quarantines[kClass].count--;
        record->quarantines[0].count--;
      });
  const struct shared_pool_statistics before = StatisticsOf(kClass);
  const size_t listed = Length(thread.record()->cache->heads[kClass]);
  ExpectInChild([&] {
    thread_cache_adopt_after_fork();
    EXPECT_EQ(1u, thread_cache_count_threads());
    // The block in quarantine is in its slab, what was listed is a chain.
    ExpectPool(kClass, before.blocks_outside - 1, before.blocks_chained + listed);
  });
}

// A thread that moves lists about, here one that waits for the pool, loses its cache in the child, and only that one.
void ExpectAbandonedDuring(const std::function<void()> &before, const std::function<void()> &moves) {
  PausedThread whole([] { FillCache(kClass, 9, false); });
  PausedThread thread(before, moves);
  struct thread_record *const record = thread.record();
  ASSERT_NE(nullptr, record);
  ASSERT_EQ(0u, record->moving);
  const struct shared_pool_statistics statistics = StatisticsOf(kClass);
  shared_pool_lock_all();
  thread.GoOn();
  for (int i = 0; i < 10000 && __atomic_load_n(&record->moving, __ATOMIC_RELAXED) == 0; ++i) usleep(1000);
  EXPECT_EQ(1u, __atomic_load_n(&record->moving, __ATOMIC_RELAXED)) << "the record does not say that lists are moved";
  ExpectInChild([&] {
    shared_pool_unlock_all();
    const size_t threads = thread_cache_count_threads();
    thread_cache_adopt_after_fork();
    EXPECT_EQ(3u, threads);
    EXPECT_EQ(1u, thread_cache_count_threads());
    ExpectPool(kClass, statistics.blocks_outside, statistics.blocks_chained + 9);
  });
  shared_pool_unlock_all();
  thread.End();
  // In the parent nothing is lost.
  whole.End();
  EXPECT_EQ(1u, thread_cache_count_threads());
}

FRESH_TEST(ThreadCacheTest, AChildAbandonsWhatIsBeingMoved) {
  ASSERT_TRUE(Start());
  ASSERT_NE(nullptr, Allocate(kClass));
  {
    SCOPED_TRACE("refill");
    ExpectAbandonedDuring([] { FillCache(kOtherClass, 2, false), FillCache(kClass, 0, false); },
                          [] { EXPECT_NE(nullptr, Allocate(kClass)); });
  }
  {
    SCOPED_TRACE("flush");
    static struct block *one_more;
    ExpectAbandonedDuring(
        [] {
          one_more = Allocate(kClass);
          FillCache(kClass, Full(kClass), true);
        },
        [] {
          Free(kClass, one_more);
          ExpectCache(kClass, 1, Full(kClass));
        });
  }
  {
    SCOPED_TRACE("drain");
    ExpectAbandonedDuring([] { FillCache(kClass, 3, true); },
                          [] {
                            thread_cache_drain();
                            ExpectCache(kClass, 0, 0);
                          });
  }
  {
    SCOPED_TRACE("the end of the thread");
    ExpectAbandonedDuring([] { FillCache(kClass, 3, true); }, [] {});
  }
}

FRESH_TEST(ThreadCacheTest, TheLockCanBeHeldOverFork) {
  ASSERT_TRUE(Start());
  ASSERT_NE(nullptr, Allocate(kClass));
  std::atomic<bool> attached{false};
  thread_cache_lock_all();
  std::thread thread([&attached] {
    Allocate(kClass);
    attached.store(true);
  });
  usleep(20 * 1000);
  EXPECT_FALSE(attached.load()) << "a thread entered the list of records while its lock was held";
  const int status = hak_test::RunInChild([] {
    thread_cache_unlock_all();
    thread_cache_adopt_after_fork();
    return thread_cache_count_threads() == 1 ? 0 : 1;
  });
  thread_cache_unlock_all();
  EXPECT_EQ(0, status) << hak_test::DescribeStatus(status);
  thread.join();
  EXPECT_TRUE(attached.load());
  EXPECT_EQ(1u, thread_cache_count_threads());
}

}  // namespace
}  // namespace hak_test
