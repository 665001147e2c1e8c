// SPDX-License-Identifier: Apache-2.0
//
// The cache of one thread, from its first call to its last: refills that grow, list, spare chain and pool, threads without
// a cache, and what a child takes over after fork: thread_cache/thread_cache, thread_cache/thread_record.

#include "allocator/thread_cache/thread_cache.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "allocator/base/options.h"
#include "allocator/os/os.h"
#include "allocator/os/os_memory_fake.h"
#include "allocator/page_arena/metadata.h"
#include "allocator/page_arena/page_arena.h"
#include "allocator/shared_pool/shared_pool.h"
#include "allocator/thread_cache/thread_record.h"
#include "tests/unit/fresh_process.h"

namespace {

using Blocks = std::vector<struct block *>;

constexpr unsigned kClass = 10, kOtherClass = 25;

bool Start() {
  thread_cache_initialize();
  return page_arena_initialize();
}

uint32_t Full(unsigned size_class) { return shared_pool_chain_blocks(size_class); }

// malloc and free of a class, as the api layer puts them together.
struct block *Allocate(unsigned size_class) {
  struct block *const block = thread_cache_pop(size_class);
  return block != nullptr ? block : thread_cache_refill(size_class);
}

void Free(unsigned size_class, struct block *block) {
  if (thread_cache_push(size_class, block)) return;
  thread_cache_no_room(size_class);
  thread_cache_push_slowly(size_class, block);
}

Blocks AllocateMany(unsigned size_class, size_t count) {
  Blocks blocks;
  while (blocks.size() < count) {
    blocks.push_back(Allocate(size_class));
    EXPECT_NE(nullptr, blocks.back());
    EXPECT_EQ(block_header_live(size_class), *block_header(blocks.back()));
    memset(user_of_block(blocks.back()), 0x5A, size_class_usable(size_class));
  }
  EXPECT_EQ(count, std::set<struct block *>(blocks.begin(), blocks.end()).size()) << "a block was handed out twice";
  return blocks;
}

// At least count blocks; the calling thread has none of the class left.
Blocks AllocateUntilEmpty(unsigned size_class, size_t count) {
  Blocks blocks = AllocateMany(size_class, count);
  while (thread_cache.heads[size_class] != nullptr) blocks.push_back(Allocate(size_class));
  EXPECT_EQ(0u, thread_cache.record->spare[size_class].count);
  return blocks;
}

void FreeAll(unsigned size_class, const Blocks &blocks) {
  for (struct block *block : blocks) Free(size_class, block);
}

// Leaves the calling thread, which has none of the class, with a list of listed blocks and, if wanted, a full spare chain.
// Other blocks of the class stay in use for good.
void FillCache(unsigned size_class, uint32_t listed, bool spare) {
  Blocks blocks = AllocateUntilEmpty(size_class, listed + (spare ? Full(size_class) : 0));
  blocks.resize(listed + (spare ? Full(size_class) : 0));
  FreeAll(size_class, blocks);
}

uint32_t Length(const struct block *block) {
  uint32_t length = 0;
  for (; block != nullptr; block = block->next) ++length;
  return length;
}

// The calling thread's cache of a class: so many blocks in its list, which the room must agree with, and in its spare.
void ExpectCache(unsigned size_class, uint32_t listed, uint32_t spare) {
  const struct thread_record *const record = thread_cache.record;
  ASSERT_NE(nullptr, record);
  EXPECT_EQ(&thread_cache, record->cache);
  EXPECT_EQ(0u, record->moving);
  EXPECT_EQ(listed, Length(thread_cache.heads[size_class]));
  EXPECT_EQ(static_cast<int32_t>(Full(size_class) - listed), thread_cache.rooms[size_class]);
  EXPECT_EQ(spare, record->spare[size_class].count);
  EXPECT_EQ(spare, Length(record->spare[size_class].head));
  for (struct block *head : {thread_cache.heads[size_class], record->spare[size_class].head}) {
    for (; head != nullptr; head = head->next) ASSERT_EQ(block_header_listed(size_class), *block_header(head));
  }
}

// The calling thread has no cache, and nothing that looks like one.
void ExpectNoCache() {
  EXPECT_EQ(nullptr, thread_cache.record);
  for (unsigned size_class = 0; size_class < HAK_CLASS_COUNT; ++size_class) {
    ASSERT_EQ(nullptr, thread_cache.heads[size_class]) << "class " << size_class;
    ASSERT_EQ(0, thread_cache.rooms[size_class]) << "class " << size_class;
  }
}

struct shared_pool_statistics StatisticsOf(unsigned size_class) {
  struct shared_pool_statistics statistics;
  memset(&statistics, 0xEE, sizeof statistics);
  shared_pool_read_statistics(size_class, &statistics);
  return statistics;
}

// What the pool says of a class: so many blocks live, cached or chained, and so many of these chained.
void ExpectPool(unsigned size_class, size_t outside, size_t chained) {
  EXPECT_EQ(outside, StatisticsOf(size_class).blocks_outside) << "class " << size_class;
  EXPECT_EQ(chained, StatisticsOf(size_class).blocks_chained) << "class " << size_class;
}

void ExpectNothingLeft(unsigned size_class) {
  ExpectPool(size_class, 0, 0);
  EXPECT_EQ(0u, StatisticsOf(size_class).blocks_carved) << "class " << size_class;
  EXPECT_EQ(0u, StatisticsOf(size_class).slab_bytes) << "class " << size_class;
}

// A thread that does something, waits until it is told to go on, does something else, and ends.
class PausedThread {
 public:
  explicit PausedThread(std::function<void()> before, std::function<void()> after = [] {}) {
    thread_ = std::thread([this, before, after] {
      before();
      cache_ = &thread_cache;
      Reach(1);
      Await(2);
      after();
    });
    Await(1);
  }
  ~PausedThread() {
    if (thread_.joinable()) End();
  }
  void GoOn() { Reach(2); }
  void End() {
    GoOn();
    thread_.join();
  }
  struct thread_record *record() const { return cache_->record; }

 private:
  void Reach(int step) {
    const std::lock_guard<std::mutex> lock(mutex_);
    step_ = std::max(step_, step);
    changed_.notify_all();
  }
  void Await(int step) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this, step] { return step_ >= step; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int step_ = 0;
  struct thread_cache *cache_ = nullptr;
  std::thread thread_;
};

// Runs body in a forked child; what fails there fails here.
void ExpectInChild(const std::function<void()> &body) {
  fflush(stdout);
  const int status = hak_test::RunInChild([&body] {
    body();
    fflush(stdout);
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
  EXPECT_EQ(0, status) << "the child ended with " << hak_test::DescribeStatus(status);
}

// ---- Refill ---------------------------------------------------------------------------------------------------------

FRESH_TEST(ThreadCacheTest, RefillsGrowToAFullChain) {
  ASSERT_TRUE(Start());
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
    SCOPED_TRACE("class " + std::to_string(size_class));
    const uint32_t full = Full(size_class), stride = size_classes[size_class].stride;
    uint32_t wanted = std::min(full, std::max(1u, 2048 / stride));
    uint32_t left = 0;  // in the class's run: a refill does not begin a second one
    for (int refill = 0; refill < 12; ++refill) {
      if (left == 0) left = size_classes[size_class].blocks;
      const uint32_t expected = std::min(wanted, left);
      left -= expected;
      ASSERT_EQ(nullptr, thread_cache_pop(size_class));
      ASSERT_NE(nullptr, thread_cache_refill(size_class));
      ExpectCache(size_class, expected - 1, 0);
      wanted = std::min(full, 2 * wanted);
      ASSERT_EQ(wanted, thread_cache.record->wanted[size_class]);
      while (thread_cache_pop(size_class) != nullptr) {
      }
      ASSERT_EQ(static_cast<int32_t>(full), thread_cache.rooms[size_class]);
      if (::testing::Test::HasFailure()) return;
    }
    EXPECT_EQ(full, wanted);
  }
}

FRESH_TEST(ThreadCacheTest, FirstRefillAttaches) {
  ASSERT_TRUE(Start());
  EXPECT_EQ(static_cast<uint32_t>(THREAD_NEW), thread_cache.state);
  EXPECT_EQ(0u, thread_cache_count_threads());
  ExpectNoCache();
  ASSERT_NE(nullptr, thread_cache_refill(kClass));
  EXPECT_EQ(static_cast<uint32_t>(THREAD_ATTACHED), thread_cache.state);
  EXPECT_EQ(1u, thread_cache_count_threads());
  EXPECT_EQ(0, thread_cache.rooms[0]);
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
    if (size_class != kClass) ExpectCache(size_class, 0, 0);
  }
}

FRESH_TEST(ThreadCacheTest, TheSpareIsUsedBeforeThePool) {
  ASSERT_TRUE(Start());
  const uint32_t full = Full(kClass);
  FillCache(kClass, 1, true);
  std::thread([] { FillCache(kClass, 7, false); }).join();
  const size_t outside = StatisticsOf(kClass).blocks_outside;
  ExpectPool(kClass, outside, 7);
  ASSERT_NE(nullptr, thread_cache_pop(kClass));
  const uint32_t wanted = thread_cache.record->wanted[kClass];
  struct block *const head = thread_cache.record->spare[kClass].head;
  EXPECT_EQ(head, thread_cache_refill(kClass));
  ExpectCache(kClass, full - 1, 0);
  ExpectPool(kClass, outside, 7);
  EXPECT_EQ(wanted, thread_cache.record->wanted[kClass]);
  while (thread_cache_pop(kClass) != nullptr) {
  }
  // A chain of the pool comes as it is, whatever its length.
  EXPECT_NE(nullptr, thread_cache_refill(kClass));
  ExpectCache(kClass, 6, 0);
  ExpectPool(kClass, outside, 0);
}

FRESH_TEST(ThreadCacheTest, RefillWithoutMemory) {
  ASSERT_TRUE(Start());
  os_fake_fail(OS_FAKE_MAP_AT, 0, SIZE_MAX);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(nullptr, thread_cache_refill(kClass));
  ExpectCache(kClass, 0, 0);
  ExpectNothingLeft(kClass);
  os_fake_reset();
  EXPECT_NE(nullptr, thread_cache_refill(kClass));
}

// ---- Pop and push ---------------------------------------------------------------------------------------------------

FRESH_TEST(ThreadCacheTest, LastInFirstOut) {
  ASSERT_TRUE(Start());
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
    SCOPED_TRACE("class " + std::to_string(size_class));
    const Blocks blocks = AllocateUntilEmpty(size_class, 3);
    ASSERT_LE(blocks.size(), Full(size_class));
    for (uint32_t i = 0; i < blocks.size(); ++i) {
      ASSERT_TRUE(thread_cache_push(size_class, blocks[i]));
      ExpectCache(size_class, i + 1, 0);
    }
    for (uint32_t i = static_cast<uint32_t>(blocks.size()); i-- > 0;) {
      ASSERT_EQ(blocks[i], thread_cache_pop(size_class));
      EXPECT_EQ(block_header_live(size_class), *block_header(blocks[i]));
      ExpectCache(size_class, i, 0);
    }
    ASSERT_EQ(nullptr, thread_cache_pop(size_class));
    ExpectCache(size_class, 0, 0);
  }
}

FRESH_TEST(ThreadCacheTest, ClassesDoNotMix) {
  ASSERT_TRUE(Start());
  std::vector<struct block *> blocks(HAK_CLASS_COUNT);
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
    blocks[size_class] = AllocateUntilEmpty(size_class, 1)[0];
  }
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) Free(size_class, blocks[size_class]);
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
    EXPECT_EQ(blocks[size_class], thread_cache.heads[size_class]);
    ExpectCache(size_class, 1, 0);
  }
}

// The list fills up, becomes the spare chain, and goes to the pool when the next list is full; all comes back in exactly the
// opposite order.
FRESH_TEST(ThreadCacheTest, ListThenSpareThenPool) {
  ASSERT_TRUE(Start());
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
    SCOPED_TRACE("class " + std::to_string(size_class));
    const uint32_t full = Full(size_class);
    const Blocks blocks = AllocateUntilEmpty(size_class, 4 * full);
    for (uint32_t i = 0; i < 4 * full; ++i) {
      const bool pushed = thread_cache_push(size_class, blocks[i]);
      ASSERT_EQ(i == 0 || i % full != 0, pushed) << "block " << i;
      if (!pushed) {
        ASSERT_GT(0, thread_cache.rooms[size_class]);
        thread_cache_no_room(size_class);
        ASSERT_EQ(0, thread_cache.rooms[size_class]);
        thread_cache_push_slowly(size_class, blocks[i]);
      }
      const uint32_t chains = i / full;  // which were full before this block came
      if (i % full < 2 || i % full == full - 1) {
        ExpectCache(size_class, i % full + 1, chains > 0 ? full : 0);
        ExpectPool(size_class, blocks.size(), chains > 1 ? (chains - 1) * full : 0);
        EXPECT_EQ(i + 1 - (chains > 1 ? (chains - 1) * full : 0), thread_cache_count_blocks(size_class));
        if (chains > 0) EXPECT_EQ(blocks[chains * full - 1], thread_cache.record->spare[size_class].head);
        ASSERT_FALSE(::testing::Test::HasFailure()) << "block " << i;
      }
    }
    for (uint32_t i = 4 * full; i-- > 0;) ASSERT_EQ(blocks[i], Allocate(size_class)) << "block " << i;
    ExpectCache(size_class, 0, 0);
    ExpectPool(size_class, blocks.size(), 0);
  }
}

FRESH_TEST(ThreadCacheTest, NoRoomRepairsOnlyWhatIsNegative) {
  ASSERT_TRUE(Start());
  Free(kClass, Allocate(kClass));
  const int32_t room = thread_cache.rooms[kClass];
  ASSERT_GT(room, 0);
  thread_cache_no_room(kClass);
  EXPECT_EQ(room, thread_cache.rooms[kClass]);
  for (const int32_t negative : {-1, -2, -1000}) {
    thread_cache.rooms[kClass] = negative;
    thread_cache_no_room(kClass);
    EXPECT_EQ(0, thread_cache.rooms[kClass]);
  }
  thread_cache.rooms[kClass] = room;
}

// Class 0 is what is no small block: nothing of it may be written to, before the thread has a cache and afterwards.
FRESH_TEST(ThreadCacheTest, ClassZeroIsRefused) {
  ASSERT_TRUE(Start());
  alignas(16) unsigned char bytes[64];
  memset(bytes, 0xA5, sizeof bytes);
  for (const bool attached : {false, true}) {
    if (attached) ASSERT_NE(nullptr, thread_cache_refill(kClass));
    for (int i = 0; i < 3; ++i) {
      EXPECT_FALSE(thread_cache_push(0, block_of_user(bytes + 16)));
      EXPECT_GE(0, thread_cache.rooms[0]);
      thread_cache_no_room(0);
      EXPECT_EQ(0, thread_cache.rooms[0]);
      EXPECT_EQ(nullptr, thread_cache.heads[0]);
    }
  }
  for (const unsigned char byte : bytes) EXPECT_EQ(0xA5, byte);
}

// ---- Threads --------------------------------------------------------------------------------------------------------

FRESH_TEST(ThreadCacheTest, AThreadThatOnlyFrees) {
  ASSERT_TRUE(Start());
  const uint32_t full = Full(kClass);
  const Blocks blocks = AllocateUntilEmpty(kClass, full + 2);
  std::thread([&] {
    ASSERT_FALSE(thread_cache_push(kClass, blocks[0])) << "there is no room where there is no cache";
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

// ---- Fork -----------------------------------------------------------------------------------------------------------

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
