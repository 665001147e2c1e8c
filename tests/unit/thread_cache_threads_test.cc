// SPDX-License-Identifier: Apache-2.0
//
// Threads and their caches, from the first call to the last, and threads without a cache: thread_cache/thread_cache,
// thread_cache/thread_record.
#include <pthread.h>

#include <memory>

#include "allocator/os/os.h"
#include "allocator/page_arena/metadata.h"
#include "tests/unit/thread_cache_support.h"

namespace hak_test {
namespace {

FRESH_TEST(ThreadCacheTest, AThreadThatOnlyFrees) {
  ASSERT_TRUE(Start());
  const uint32_t full = Full(kClass);
  const Blocks blocks = AllocateUntilEmpty(kClass, full + 2);
  std::thread([&] {
    ASSERT_FALSE(Push(kClass, blocks[0])) << "there is no room where there is no cache";
    thread_cache_no_room(kClass);
    ExpectNoCache();
    thread_cache_push_slowly(kClass, blocks[0]);
    EXPECT_EQ(blocks[0], thread_cache.heads[kClass]);
    ExpectCache(kClass, 1, 0);
    ExpectCache(kOtherClass, 0, 0);
    EXPECT_EQ(2u, thread_cache_count_threads());
    for (uint32_t i = 1; i < full + 1; ++i) Free(kClass, blocks[i]);
    ExpectCache(kClass, 1, full);
    ExpectPool(kClass, blocks.size(), 0);
  }).join();
  ExpectPool(kClass, blocks.size(), full + 1);
  EXPECT_EQ(1u, thread_cache_count_threads());
}

FRESH_TEST(ThreadCacheTest, DrainGivesEverythingToTheSlabs) {
  ASSERT_TRUE(Start());
  thread_cache_drain();  // nothing to do yet
  ExpectNoCache();
  for (int round = 0; round < 2; ++round) {
    for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
      FreeAll(size_class, AllocateUntilEmpty(size_class, Full(size_class) + 1));
      EXPECT_GT(thread_cache.record->spare[size_class].count, 0u);
      EXPECT_GT(Length(thread_cache.heads[size_class]), 0u);
      ExpectPool(size_class, thread_cache_count_blocks(size_class), 0);
    }
    thread_cache_drain();
    for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
      ExpectNothingLeft(size_class);
      ExpectCache(size_class, 0, 0);
    }
    EXPECT_EQ(static_cast<uint32_t>(THREAD_ATTACHED), thread_cache.state);
    EXPECT_EQ(1u, thread_cache_count_threads());
  }
}

FRESH_TEST(ThreadCacheTest, DrainLeavesBlocksInUse) {
  ASSERT_TRUE(Start());
  struct block *const kept = AllocateMany(kClass, 1)[0];
  FreeAll(kClass, AllocateMany(kClass, 100));
  thread_cache_drain();
  ExpectPool(kClass, 1, 0);
  EXPECT_EQ(0x5A, *static_cast<char *>(user_of_block(kept)));
  EXPECT_EQ(block_header_live(kClass), *block_header(kept));
  Free(kClass, kept);
  thread_cache_drain();
  ExpectNothingLeft(kClass);
}

// A thread that ends gives list and spare of every class to the pool as chains, and its record to the next thread.
FRESH_TEST(ThreadCacheTest, ThreadsGiveEverythingWhenTheyEnd) {
  ASSERT_TRUE(Start());
  struct thread_record *records[2];
  for (struct thread_record *&record : records) {
    PausedThread thread([] {
      for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) FillCache(size_class, 2, true);
    });
    record = thread.record();
    for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
      EXPECT_EQ(Full(size_class) + 2, thread_cache_count_blocks(size_class));
    }
    EXPECT_EQ(1u, thread_cache_count_threads());
    size_t outside[HAK_CLASS_COUNT], chained[HAK_CLASS_COUNT];
    for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
      outside[size_class] = StatisticsOf(size_class).blocks_outside;
      chained[size_class] = StatisticsOf(size_class).blocks_chained;
    }
    thread.End();
    EXPECT_EQ(0u, thread_cache_count_threads());
    for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
      EXPECT_EQ(0u, thread_cache_count_blocks(size_class));
      ExpectPool(size_class, outside[size_class], chained[size_class] + Full(size_class) + 2);
    }
  }
  EXPECT_EQ(records[0], records[1]) << "a record was not used again";
  // What a used record held is not the next thread's.
  std::thread([] {
    Allocate(kClass);
    EXPECT_EQ(2048 / size_classes[kOtherClass].stride + (2048 < size_classes[kOtherClass].stride ? 1u : 0u),
              thread_cache.record->wanted[kOtherClass]);
    ExpectCache(kOtherClass, 0, 0);
  }).join();
}

// The hook's value may be anybody's: another hakmem in the process has the same thread key.
FRESH_TEST(ThreadCacheTest, TheValueOfTheHookIsNotTrusted) {
  ASSERT_TRUE(Start());
  static char foreign[sizeof(struct thread_record)];
  std::thread([] {
    FillCache(kClass, 7, false);
    ASSERT_TRUE(os_thread_hook_arm(foreign));
  }).join();
  EXPECT_EQ(7u, StatisticsOf(kClass).blocks_chained);
  EXPECT_EQ(0u, thread_cache_count_threads());
  // A thread without a cache.
  const size_t outside = StatisticsOf(kClass).blocks_outside;
  std::thread([] { ASSERT_TRUE(os_thread_hook_arm(foreign)); }).join();
  ExpectPool(kClass, outside, 7);
  EXPECT_EQ(0u, thread_cache_count_threads());
  for (const char byte : foreign) ASSERT_EQ(0, byte);
}

int after_exit_runs;

// Called by a destructor of a thread key that was created after the hook's, so later.
void UseWithoutCache(void *) {
  ++after_exit_runs;
  EXPECT_EQ(static_cast<uint32_t>(THREAD_WITHOUT_CACHE), thread_cache.state);
  ExpectNoCache();
  EXPECT_EQ(0u, thread_cache_count_threads());
  const size_t outside = StatisticsOf(kClass).blocks_outside, chained = StatisticsOf(kClass).blocks_chained;
  EXPECT_GT(chained, 0u);
  Blocks blocks;
  for (size_t i = 1; i <= 300; ++i) {
    blocks.push_back(Allocate(kClass));
    ASSERT_NE(nullptr, blocks.back());
    EXPECT_EQ(block_header_live(kClass), *block_header(blocks.back()));
    memset(user_of_block(blocks.back()), 0xEE, size_class_usable(kClass));
    // One at a time, of those in slabs or in the pool: nothing stays behind that nobody would take back.
    ASSERT_EQ(outside + i, StatisticsOf(kClass).blocks_outside);
  }
  ExpectNoCache();
  for (struct block *block : blocks) {
    Free(kClass, block);
    EXPECT_EQ(block_header_listed(kClass), *block_header(block));
    ASSERT_EQ(0, thread_cache.rooms[kClass]);
  }
  ExpectNoCache();
  thread_cache_drain();
  ExpectPool(kClass, outside, chained);
}

FRESH_TEST(ThreadCacheTest, AfterItsEndAThreadGoesWithout) {
  ASSERT_TRUE(Start());
  static pthread_key_t key;
  ASSERT_EQ(0, pthread_key_create(&key, UseWithoutCache));
  std::thread([] {
    FillCache(kClass, 5, false);
    ASSERT_EQ(0, pthread_setspecific(key, &after_exit_runs));
  }).join();
  EXPECT_EQ(1, after_exit_runs);
  EXPECT_EQ(5u, StatisticsOf(kClass).blocks_chained);
  EXPECT_EQ(0u, thread_cache_count_threads());
}

FRESH_TEST(ThreadCacheTest, WithoutTheHookThereIsNoCache) {
  ASSERT_TRUE(page_arena_initialize());  // and no thread_cache_initialize
  struct block *const block = Allocate(kClass);
  ASSERT_NE(nullptr, block);
  EXPECT_EQ(static_cast<uint32_t>(THREAD_WITHOUT_CACHE), thread_cache.state);
  EXPECT_EQ(block_header_live(kClass), *block_header(block));
  ExpectNoCache();
  EXPECT_EQ(0u, thread_cache_count_threads());
  ExpectPool(kClass, 1, 0);
  Free(kClass, block);
  ExpectNoCache();
  ExpectNothingLeft(kClass);
}

FRESH_TEST(ThreadCacheTest, WithoutMemoryForARecordItTriesAgain) {
  ASSERT_TRUE(Start());
  struct block *const other = shared_pool_take_block(kClass);  // so there is a run
  ASSERT_NE(nullptr, other);
  os_fake_fail(OS_FAKE_MAP, 0, SIZE_MAX);
  while (metadata_allocate(64) != nullptr) {
  }
  struct block *const block = Allocate(kClass);
  ASSERT_NE(nullptr, block) << "a record cannot be had, but a block";
  EXPECT_EQ(static_cast<uint32_t>(THREAD_NEW), thread_cache.state);
  ExpectNoCache();
  ExpectPool(kClass, 2, 0);
  Free(kClass, block);
  ExpectPool(kClass, 1, 0);
  ExpectNoCache();
  os_fake_reset();
  ASSERT_NE(nullptr, Allocate(kClass));
  EXPECT_EQ(static_cast<uint32_t>(THREAD_ATTACHED), thread_cache.state);
  EXPECT_EQ(1u, thread_cache_count_threads());
}

// Threads end in another order than they came in.
FRESH_TEST(ThreadCacheTest, CountsAreExactWhileThreadsComeAndGo) {
  ASSERT_TRUE(Start());
  FillCache(kClass, 3, true);
  size_t expected = Full(kClass) + 3, threads = 1;
  const uint32_t listed[] = {11, 5, 40, 1, 23};
  std::unique_ptr<PausedThread> paused[5];
  for (int i = 0; i < 5; ++i) {
    paused[i].reset(new PausedThread([&, i] {
      FillCache(kClass, listed[i], i % 2 == 0);
      FillCache(kOtherClass, 2, false);
    }));
    expected += listed[i] + (i % 2 == 0 ? Full(kClass) : 0);
    EXPECT_EQ(++threads, thread_cache_count_threads());
    EXPECT_EQ(expected, thread_cache_count_blocks(kClass));
    EXPECT_EQ(2 * (threads - 1), thread_cache_count_blocks(kOtherClass));
  }
  for (const int i : {2, 0, 4, 3, 1}) {
    paused[i]->End();
    expected -= listed[i] + (i % 2 == 0 ? Full(kClass) : 0);
    EXPECT_EQ(--threads, thread_cache_count_threads());
    EXPECT_EQ(expected, thread_cache_count_blocks(kClass));
    EXPECT_EQ(2 * (threads - 1), thread_cache_count_blocks(kOtherClass));
  }
  EXPECT_EQ(0u, thread_cache_count_blocks(1));
}

}  // namespace
}  // namespace hak_test
