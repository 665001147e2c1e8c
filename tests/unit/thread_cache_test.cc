// SPDX-License-Identifier: Apache-2.0
//
// The cache of one thread: refills that grow, list, spare chain and pool: thread_cache/thread_cache.
#include "allocator/thread_cache/thread_cache.h"

#include "tests/unit/thread_cache_support.h"

namespace hak_test {
namespace {

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
      ASSERT_EQ(nullptr, Pop(size_class));
      ASSERT_NE(nullptr, Refill(size_class));
      ExpectCache(size_class, expected - 1, 0);
      wanted = std::min(full, 2 * wanted);
      ASSERT_EQ(wanted, thread_cache.record->wanted[size_class]);
      while (Pop(size_class) != nullptr) {
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
  ASSERT_NE(nullptr, Refill(kClass));
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
  ASSERT_NE(nullptr, Pop(kClass));
  const uint32_t wanted = thread_cache.record->wanted[kClass];
  struct block *const head = thread_cache.record->spare[kClass].head;
  EXPECT_EQ(head, Refill(kClass));
  ExpectCache(kClass, full - 1, 0);
  ExpectPool(kClass, outside, 7);
  EXPECT_EQ(wanted, thread_cache.record->wanted[kClass]);
  while (Pop(kClass) != nullptr) {
  }
  // A chain of the pool comes as it is, whatever its length.
  EXPECT_NE(nullptr, Refill(kClass));
  ExpectCache(kClass, 6, 0);
  ExpectPool(kClass, outside, 0);
}

FRESH_TEST(ThreadCacheTest, RefillWithoutMemory) {
  ASSERT_TRUE(Start());
  os_fake_fail(OS_FAKE_MAP_AT, 0, SIZE_MAX);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(nullptr, Refill(kClass));
  ExpectCache(kClass, 0, 0);
  ExpectNothingLeft(kClass);
  os_fake_reset();
  EXPECT_NE(nullptr, Refill(kClass));
}

// ---- Pop and push ---------------------------------------------------------------------------------------------------

FRESH_TEST(ThreadCacheTest, LastInFirstOut) {
  ASSERT_TRUE(Start());
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
    SCOPED_TRACE("class " + std::to_string(size_class));
    const Blocks blocks = AllocateUntilEmpty(size_class, 3);
    ASSERT_LE(blocks.size(), Full(size_class));
    for (uint32_t i = 0; i < blocks.size(); ++i) {
      ASSERT_TRUE(Push(size_class, blocks[i]));
      ExpectCache(size_class, i + 1, 0);
    }
    for (uint32_t i = static_cast<uint32_t>(blocks.size()); i-- > 0;) {
      ASSERT_EQ(blocks[i], Pop(size_class));
      EXPECT_EQ(block_header_live(size_class), *block_header(blocks[i]));
      ExpectCache(size_class, i, 0);
    }
    ASSERT_EQ(nullptr, Pop(size_class));
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
      const bool pushed = Push(size_class, blocks[i]);
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
    if (attached) ASSERT_NE(nullptr, Refill(kClass));
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

}  // namespace
}  // namespace hak_test
