// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the thread cache share: allocating and freeing as the api layer does it, without that layer; what a cache
// and the pool must look like; and threads that pause.

#ifndef HAKMEM_TESTS_UNIT_THREAD_CACHE_SUPPORT_H_
#define HAKMEM_TESTS_UNIT_THREAD_CACHE_SUPPORT_H_

#include <gtest/gtest.h>
#include <string.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "allocator/base/options.h"
#include "allocator/os/os_memory_fake.h"
#include "allocator/page_arena/page_arena.h"
#include "allocator/shared_pool/shared_pool.h"
#include "allocator/thread_cache/thread_cache.h"
#include "allocator/thread_cache/thread_record.h"
#include "tests/unit/fresh_process.h"

namespace hak_test {

using Blocks = std::vector<struct block *>;

constexpr unsigned kClass = 10, kOtherClass = 25;

inline bool Start() {
  thread_cache_initialize();
  return page_arena_initialize();
}

inline uint32_t Full(unsigned size_class) { return shared_pool_chain_blocks(size_class); }

// What the Box notes of blocks that leave the cache, and of those that come back. It gives them their headers.
inline struct block *HandedOut(unsigned size_class, struct block *block) {
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX && block != nullptr) {
    box_note_allocation(size_class, block, block_record_of(block), size_class_usable(size_class), 0);
  }
  return block;
}

inline struct block *Retired(unsigned size_class, struct block *block) {
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) box_note_free(size_class, block, block_record_of(block));
  return block;
}

// malloc and free of a class, as the api layer puts them together; the Box's quarantine, which is before the cache, is left
// out.
inline struct block *Pop(unsigned size_class) { return HandedOut(size_class, thread_cache_pop(size_class)); }
inline struct block *Refill(unsigned size_class) { return HandedOut(size_class, thread_cache_refill(size_class)); }

inline struct block *Allocate(unsigned size_class) {
  struct block *const block = Pop(size_class);
  return block != nullptr ? block : Refill(size_class);
}

inline bool Push(unsigned size_class, struct block *block) {
  return thread_cache_push(size_class, Retired(size_class, block));
}

inline void Free(unsigned size_class, struct block *block) {
  if (Push(size_class, block)) return;
  thread_cache_no_room(size_class);
  thread_cache_push_slowly(size_class, block);
}

inline Blocks AllocateMany(unsigned size_class, size_t count) {
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
inline Blocks AllocateUntilEmpty(unsigned size_class, size_t count) {
  Blocks blocks = AllocateMany(size_class, count);
  while (thread_cache.heads[size_class] != nullptr) blocks.push_back(Allocate(size_class));
  EXPECT_EQ(0u, thread_cache.record->spare[size_class].count);
  return blocks;
}

inline void FreeAll(unsigned size_class, const Blocks &blocks) {
  for (struct block *block : blocks) Free(size_class, block);
}

// Leaves the calling thread, which has none of the class, with a list of listed blocks and, if wanted, a full spare chain.
// Other blocks of the class stay in use for good.
inline void FillCache(unsigned size_class, uint32_t listed, bool spare) {
  Blocks blocks = AllocateUntilEmpty(size_class, listed + (spare ? Full(size_class) : 0));
  blocks.resize(listed + (spare ? Full(size_class) : 0));
  FreeAll(size_class, blocks);
}

inline uint32_t Length(const struct block *block) {
  uint32_t length = 0;
  for (; block != nullptr; block = block_next(block)) ++length;
  return length;
}

// The calling thread's cache of a class: so many blocks in its list, which the room must agree with, and in its spare.
inline void ExpectCache(unsigned size_class, uint32_t listed, uint32_t spare) {
  const struct thread_record *const record = thread_cache.record;
  ASSERT_NE(nullptr, record);
  EXPECT_EQ(&thread_cache, record->cache);
  EXPECT_EQ(0u, record->moving);
  EXPECT_EQ(listed, Length(thread_cache.heads[size_class]));
  EXPECT_EQ(static_cast<int32_t>(Full(size_class) - listed), thread_cache.rooms[size_class]);
  EXPECT_EQ(spare, record->spare[size_class].count);
  EXPECT_EQ(spare, Length(record->spare[size_class].head));
  for (struct block *head : {thread_cache.heads[size_class], record->spare[size_class].head}) {
    for (; head != nullptr; head = block_next(head)) ASSERT_EQ(block_header_listed(size_class), *block_header(head));
  }
}

// The calling thread has no cache, and nothing that looks like one.
inline void ExpectNoCache() {
  EXPECT_EQ(nullptr, thread_cache.record);
  for (unsigned size_class = 0; size_class < HAK_CLASS_COUNT; ++size_class) {
    ASSERT_EQ(nullptr, thread_cache.heads[size_class]) << "class " << size_class;
    ASSERT_EQ(0, thread_cache.rooms[size_class]) << "class " << size_class;
  }
}

inline struct shared_pool_statistics StatisticsOf(unsigned size_class) {
  struct shared_pool_statistics statistics;
  memset(&statistics, 0xEE, sizeof statistics);
  shared_pool_read_statistics(size_class, &statistics);
  return statistics;
}

// What the pool says of a class: so many blocks live, cached or chained, and so many of these chained.
inline void ExpectPool(unsigned size_class, size_t outside, size_t chained) {
  EXPECT_EQ(outside, StatisticsOf(size_class).blocks_outside) << "class " << size_class;
  EXPECT_EQ(chained, StatisticsOf(size_class).blocks_chained) << "class " << size_class;
}

inline void ExpectNothingLeft(unsigned size_class) {
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
inline void ExpectInChild(const std::function<void()> &body) {
  fflush(stdout);
  const int status = RunInChild([&body] {
    body();
    fflush(stdout);
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
  EXPECT_EQ(0, status) << "the child ended with " << DescribeStatus(status);
}

}  // namespace hak_test

#endif  // HAKMEM_TESTS_UNIT_THREAD_CACHE_SUPPORT_H_
