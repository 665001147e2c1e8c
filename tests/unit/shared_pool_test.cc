// SPDX-License-Identifier: Apache-2.0
//
// What threads exchange: chains first, slabs behind them; and that every block is somewhere: shared_pool/shared_pool.

#include "allocator/shared_pool/shared_pool.h"

#include <gtest/gtest.h>
#include <string.h>

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "allocator/base/options.h"
#include "allocator/base/size_class.h"
#include "allocator/os/os_memory_fake.h"
#include "allocator/page_arena/block_record.h"
#include "allocator/page_arena/page_arena.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"

namespace {

using hak_test::Random;
using hak_test::Scaled;

// A class of which a run has few blocks, so that there are many runs; and one with many.
constexpr unsigned kFewBlocks = HAK_CLASS_SMALL_LAST, kManyBlocks = 2;

struct shared_pool_statistics StatisticsOf(unsigned size_class) {
  struct shared_pool_statistics statistics;
  memset(&statistics, 0xEE, sizeof statistics);
  shared_pool_read_statistics(size_class, &statistics);
  return statistics;
}

void ExpectStatistics(unsigned size_class, size_t carved, size_t outside, size_t chained) {
  const struct shared_pool_statistics statistics = StatisticsOf(size_class);
  EXPECT_EQ(carved, statistics.blocks_carved);
  EXPECT_EQ(outside, statistics.blocks_outside);
  EXPECT_EQ(chained, statistics.blocks_chained);
  EXPECT_GE(statistics.slab_bytes, carved * size_classes[size_class].stride);
}

// The class has nothing left: not a block, and not a slab.
void ExpectNothingLeft(unsigned size_class) {
  ExpectStatistics(size_class, 0, 0, 0);
  EXPECT_EQ(0u, StatisticsOf(size_class).slab_bytes);
}

// The blocks of a chain, which must be what a chain is.
std::vector<struct block *> BlocksOf(unsigned size_class, const struct chain &chain) {
  std::vector<struct block *> blocks;
  struct block *block = chain.head;
  for (uint32_t i = 0; i < chain.count; ++i) {
    EXPECT_NE(nullptr, block) << "the chain ends after " << i << " of " << chain.count << " blocks";
    if (block == nullptr) return blocks;
    EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(block) % size_classes[size_class].alignment);
    EXPECT_EQ(size_class, registry_class_of(reinterpret_cast<uintptr_t>(block)));
    EXPECT_EQ(block_header_listed(size_class), *block_header(block));
    blocks.push_back(block);
    block = block_next(block);
  }
  EXPECT_EQ(nullptr, block) << "the chain goes on behind its last block";
  return blocks;
}

struct chain ChainOf(const std::vector<struct block *> &blocks) {
  struct chain chain = {nullptr, 0};
  for (size_t i = blocks.size(); i-- > 0; ++chain.count) {
    // The test has written to the block, so its link is not what the Box remembers.
    if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) block_record_of(blocks[i])->link = chain.head;
    block_link_set(blocks[i], chain.head);
    chain.head = blocks[i];
  }
  return chain;
}

FRESH_TEST(SharedPoolTest, ChainLengths) {
  for (const uint32_t kib : {1u, 16u, 32u, 64u, 1024u}) {
    options.chain_kib = kib;
    for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
      SCOPED_TRACE("class " + std::to_string(size_class) + ", chain_kib " + std::to_string(kib));
      const size_t bytes = size_t{kib} << 10, stride = size_classes[size_class].stride;
      const uint32_t blocks = shared_pool_chain_blocks(size_class);
      EXPECT_GE(blocks, 2u);
      EXPECT_LE(blocks, static_cast<uint32_t>(HAK_CHAIN_BLOCKS_MAX));
      if (blocks > 4) EXPECT_LE(blocks * stride, bytes);
      if (blocks < HAK_CHAIN_BLOCKS_MAX) EXPECT_GT((blocks + 1) * stride, bytes);
    }
  }
}

FRESH_TEST(SharedPoolTest, EveryClassGivesBlocks) {
  ASSERT_TRUE(page_arena_initialize());
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
    SCOPED_TRACE("class " + std::to_string(size_class));
    std::set<struct block *> seen;
    std::vector<struct chain> chains;
    // More than one run has.
    for (size_t taken = 0; taken < size_classes[size_class].blocks + 3u; taken = seen.size()) {
      const uint32_t wanted = shared_pool_chain_blocks(size_class);
      const struct chain chain = shared_pool_take(size_class, wanted);
      ASSERT_GE(chain.count, 1u);
      ASSERT_LE(chain.count, wanted);
      for (struct block *block : BlocksOf(size_class, chain)) {
        ASSERT_TRUE(seen.insert(block).second) << "handed out twice";
      }
      chains.push_back(chain);
    }
    ExpectStatistics(size_class, seen.size(), seen.size(), 0);
    EXPECT_EQ(2u * size_classes[size_class].run_slabs * HAK_SLAB_BYTES, StatisticsOf(size_class).slab_bytes);
    for (const struct chain &chain : chains) shared_pool_sort_back(size_class, chain);
    ExpectNothingLeft(size_class);
    for (struct block *block : seen) ASSERT_EQ(0u, registry_class_of(reinterpret_cast<uintptr_t>(block)));
  }
}

FRESH_TEST(SharedPoolTest, ChainsComeBackLastFirst) {
  ASSERT_TRUE(page_arena_initialize());
  std::vector<struct chain> chains;
  for (uint32_t wanted = 1; wanted <= 6; ++wanted) {
    chains.push_back(shared_pool_take(kManyBlocks, wanted));
    ASSERT_EQ(wanted, chains.back().count);
  }
  ExpectStatistics(kManyBlocks, 21, 21, 0);
  for (const struct chain &chain : chains) shared_pool_give(kManyBlocks, chain);
  ExpectStatistics(kManyBlocks, 21, 21, 21);
  for (size_t i = chains.size(); i-- > 0;) {
    const struct chain chain = shared_pool_take(kManyBlocks, 100);
    EXPECT_EQ(chains[i].head, chain.head);
    EXPECT_EQ(chains[i].count, chain.count);
    BlocksOf(kManyBlocks, chain);
  }
  ExpectStatistics(kManyBlocks, 21, 21, 0);
}

FRESH_TEST(SharedPoolTest, MoreThanTheLimitIsSortedBack) {
  ASSERT_TRUE(page_arena_initialize());
  for (const uint32_t limit : {0u, 1u, 3u, static_cast<uint32_t>(HAK_POOL_CHAINS_MAX)}) {
    SCOPED_TRACE("pool_chains " + std::to_string(limit));
    options.pool_chains = limit;
    std::vector<struct chain> chains;
    for (uint32_t i = 0; i < limit + 2; ++i) chains.push_back(shared_pool_take(kManyBlocks, 5));
    const size_t blocks = 5 * (limit + 2);
    ExpectStatistics(kManyBlocks, blocks, blocks, 0);
    for (uint32_t i = 0; i < limit + 2; ++i) {
      shared_pool_give(kManyBlocks, chains[i]);
      const uint32_t kept = i < limit ? i + 1 : limit;
      if (i + 1 < limit + 2 || limit > 0) {
        const uint32_t sorted_back = i + 1 - kept;
        ExpectStatistics(kManyBlocks, blocks, blocks - 5 * sorted_back, 5 * kept);
      }
    }
    shared_pool_drain();
    ExpectNothingLeft(kManyBlocks);
  }
}

// A class whose slabs are mostly free keeps no chains: they would hold on to slabs that could go.
FRESH_TEST(SharedPoolTest, AClassThatShrinksKeepsNoChains) {
  ASSERT_TRUE(page_arena_initialize());
  // One block of each chain stays in use, and with it every slab.
  std::vector<struct block *> kept;
  std::vector<struct chain> chains;
  for (int i = 0; i < 200; ++i) {
    const struct chain chain = shared_pool_take(kManyBlocks, 100);
    kept.push_back(chain.head);
    chains.push_back({block_next(chain.head), chain.count - 1});
  }
  for (const struct chain &chain : chains) shared_pool_give(kManyBlocks, chain);
  EXPECT_EQ(0u, StatisticsOf(kManyBlocks).blocks_chained);
  shared_pool_sort_back(kManyBlocks, ChainOf(kept));
  ExpectNothingLeft(kManyBlocks);
}

FRESH_TEST(SharedPoolTest, DrainGivesEverySlabBack) {
  ASSERT_TRUE(page_arena_initialize());
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
    for (int i = 0; i < 2; ++i) {
      const struct chain first = shared_pool_take(size_class, 3), second = shared_pool_take(size_class, 1);
      shared_pool_give(size_class, first);
      shared_pool_give(size_class, second);
    }
  }
  shared_pool_drain();
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) ExpectNothingLeft(size_class);
  page_arena_purge_all();
  struct superslab *const span = page_arena_take_span(1, 0);
  ASSERT_NE(nullptr, span);
  EXPECT_EQ(UINT32_MAX, span->zero_slabs);
}

FRESH_TEST(SharedPoolTest, DrainLeavesBlocksInUse) {
  ASSERT_TRUE(page_arena_initialize());
  struct block *const kept = shared_pool_take_block(kManyBlocks);
  ASSERT_NE(nullptr, kept);
  memset(user_of_block(kept), 0x77, size_class_usable(kManyBlocks));
  shared_pool_give(kManyBlocks, shared_pool_take(kManyBlocks, 10));
  shared_pool_drain();
  ExpectStatistics(kManyBlocks, 11, 1, 0);
  EXPECT_EQ(0x77, *static_cast<char *>(user_of_block(kept)));
  shared_pool_sort_back(kManyBlocks, ChainOf({kept}));
  ExpectNothingLeft(kManyBlocks);
}

FRESH_TEST(SharedPoolTest, OneBlockIsOneBlock) {
  ASSERT_TRUE(page_arena_initialize());
  std::set<struct block *> seen;
  for (int i = 1; i <= 100; ++i) {
    struct block *const block = shared_pool_take_block(kFewBlocks);
    ASSERT_NE(nullptr, block);
    EXPECT_EQ(nullptr, block_next(block));
    ASSERT_TRUE(seen.insert(block).second);
    EXPECT_EQ(static_cast<size_t>(i), StatisticsOf(kFewBlocks).blocks_outside);
  }
  for (struct block *block : seen) shared_pool_sort_back(kFewBlocks, ChainOf({block}));
  ExpectNothingLeft(kFewBlocks);
}

// Blocks that came back are used before memory that nobody has touched.
FRESH_TEST(SharedPoolTest, WhatCameBackIsUsedFirst) {
  ASSERT_TRUE(page_arena_initialize());
  const std::vector<struct block *> all = BlocksOf(kManyBlocks, shared_pool_take(kManyBlocks, 60));
  ASSERT_EQ(60u, all.size());
  const std::vector<struct block *> some(all.begin() + 10, all.begin() + 50);
  shared_pool_sort_back(kManyBlocks, ChainOf(some));
  ExpectStatistics(kManyBlocks, 60, 20, 0);
  const std::vector<struct block *> again = BlocksOf(kManyBlocks, shared_pool_take(kManyBlocks, 40));
  EXPECT_EQ(std::set<struct block *>(some.begin(), some.end()), std::set<struct block *>(again.begin(), again.end()));
  ExpectStatistics(kManyBlocks, 60, 60, 0);
  // Not enough: what came back, and fresh ones behind it.
  shared_pool_sort_back(kManyBlocks, ChainOf({all[0], all[1]}));
  EXPECT_EQ(10u, BlocksOf(kManyBlocks, shared_pool_take(kManyBlocks, 10)).size());
  ExpectStatistics(kManyBlocks, 68, 68, 0);
}

FRESH_TEST(SharedPoolTest, WithoutMemoryThereIsAnEmptyChain) {
  ASSERT_TRUE(page_arena_initialize());
  os_fake_fail(OS_FAKE_MAP_AT, 0, SIZE_MAX);
  EXPECT_EQ(0u, shared_pool_take(kFewBlocks, 4).count);
  EXPECT_EQ(nullptr, shared_pool_take(kFewBlocks, 4).head);
  EXPECT_EQ(nullptr, shared_pool_take_block(kFewBlocks));
  ExpectNothingLeft(kFewBlocks);
  os_fake_reset();
  std::vector<struct block *> blocks = BlocksOf(kFewBlocks, shared_pool_take(kFewBlocks, 4));
  EXPECT_EQ(4u, blocks.size());
  // What is left of slabs and superslabs is still given out.
  os_fake_fail(OS_FAKE_MAP_AT, 0, SIZE_MAX);
  while (struct block *const block = shared_pool_take_block(kFewBlocks)) blocks.push_back(block);
  EXPECT_EQ(2u * size_classes[kFewBlocks].blocks, blocks.size()) << "a superslab has room for two such runs";
  ExpectStatistics(kFewBlocks, blocks.size(), blocks.size(), 0);
  shared_pool_sort_back(kFewBlocks, ChainOf({blocks.back()}));
  EXPECT_EQ(blocks.back(), shared_pool_take_block(kFewBlocks));
  shared_pool_sort_back(kFewBlocks, ChainOf(blocks));
  ExpectNothingLeft(kFewBlocks);
}

// Blocks of many runs, in any order, through every way in and out.
FRESH_TEST(SharedPoolTest, EveryBlockIsSomewhere) {
  ASSERT_TRUE(page_arena_initialize());
  const uint64_t seed = hak_test::FirstSeed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  options.pool_chains = 3;
  options.purge_delay_ms = 0;
  for (const unsigned size_class : {kFewBlocks, kManyBlocks, 40u, 55u}) {
    SCOPED_TRACE("class " + std::to_string(size_class));
    const uint32_t full = shared_pool_chain_blocks(size_class);
    const size_t most = size_class == kManyBlocks ? 9000 : 400;
    std::vector<struct block *> live;
    std::set<struct block *> seen;
    size_t chained = 0;
    const size_t steps = Scaled(1500);
    for (size_t step = 0; step < steps; ++step) {
      const size_t before = StatisticsOf(size_class).blocks_chained;
      ASSERT_EQ(chained, before);
      const bool take = live.size() < most && (live.empty() || random.Below(100) < (step / 200 % 2 == 0 ? 70u : 35u));
      if (take) {
        std::vector<struct block *> taken;
        if (random.OneIn(3)) {
          taken.push_back(shared_pool_take_block(size_class));
          ASSERT_NE(nullptr, taken[0]);
        } else {
          const struct chain chain = shared_pool_take(size_class, 1 + static_cast<uint32_t>(random.Below(full)));
          ASSERT_GE(chain.count, 1u);
          taken = BlocksOf(size_class, chain);
          if (chained > 0) chained -= chain.count;  // a whole chain left the pool
        }
        for (struct block *block : taken) {
          ASSERT_TRUE(seen.insert(block).second) << "handed out while it is in use";
          live.push_back(block);
          memset(user_of_block(block), 0x11, 16 - HAK_HEADER_BYTES);
        }
      } else {
        std::vector<struct block *> given;
        const size_t count = std::min(live.size(), size_t{1} + random.Below(full));
        for (size_t i = 0; i < count; ++i) {
          const size_t index = random.Below(live.size());
          given.push_back(live[index]);
          seen.erase(live[index]);
          live[index] = live.back();
          live.pop_back();
        }
        if (random.OneIn(2)) {
          shared_pool_sort_back(size_class, ChainOf(given));
        } else {
          shared_pool_give(size_class, ChainOf(given));
          const size_t after = StatisticsOf(size_class).blocks_chained;
          // Kept, or sorted back; where the limit has fallen, another chain went with it.
          ASSERT_TRUE(after == chained + count || after <= chained);
          chained = after;
        }
      }
      if (random.OneIn(300)) {
        shared_pool_drain();
        chained = 0;
      }
      const struct shared_pool_statistics statistics = StatisticsOf(size_class);
      ASSERT_EQ(live.size() + chained, statistics.blocks_outside);
      ASSERT_GE(statistics.blocks_carved, statistics.blocks_outside);
      ASSERT_EQ(0u, statistics.slab_bytes % (size_classes[size_class].run_slabs * HAK_SLAB_BYTES));
    }
    shared_pool_sort_back(size_class, ChainOf(live));
    shared_pool_drain();
    ExpectNothingLeft(size_class);
  }
  EXPECT_EQ(0u, os_fake_errors());
}

// Of the page arena's memory: the Box's records are purged too.
size_t PurgedBytes() {
  struct page_arena_statistics statistics;
  page_arena_read_statistics(&statistics);
  return statistics.purged_bytes;
}

FRESH_TEST(SharedPoolTest, GiveTicks) {
  options.purge_delay_ms = 100;
  options.pool_chains = 0;
  os_fake_set_time(1000);
  ASSERT_TRUE(page_arena_initialize());
  const struct chain chain = shared_pool_take(kManyBlocks, 4), other = shared_pool_take(3, 4);
  shared_pool_give(kManyBlocks, chain);
  os_fake_set_time(1100);
  EXPECT_EQ(0u, PurgedBytes());
  shared_pool_give(3, other);
  EXPECT_GE(PurgedBytes(), HAK_SLAB_BYTES);
}

FRESH_TEST(SharedPoolTest, LocksCanBeHeldOverFork) {
  ASSERT_TRUE(page_arena_initialize());
  shared_pool_give(kManyBlocks, shared_pool_take(kManyBlocks, 4));
  shared_pool_lock_all();
  const int status = hak_test::RunInChild([] {
    shared_pool_unlock_all();
    for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
      if (shared_pool_take(size_class, 2).count == 0) return 1;
    }
    return 0;
  });
  shared_pool_unlock_all();
  EXPECT_EQ(0, status) << hak_test::DescribeStatus(status);
  EXPECT_EQ(4u, shared_pool_take(kManyBlocks, 1).count);
}

// Threads pass blocks on through the pool. Each writes its number to what it has.
FRESH_TEST(SharedPoolTest, ThreadsExchangeBlocks) {
  ASSERT_TRUE(page_arena_initialize());
  options.pool_chains = 2;
  options.purge_delay_ms = 0;
  std::vector<std::thread> threads;
  for (uint64_t thread = 1; thread <= 4; ++thread) {
    threads.emplace_back([thread] {
      Random random(thread);
      std::vector<struct block *> own[2];
      for (size_t round = 0; round < Scaled(3000); ++round) {
        const size_t which = random.Below(2);
        const unsigned size_class = which == 0 ? kFewBlocks : kManyBlocks;
        std::vector<struct block *> &blocks = own[which];
        if (blocks.size() < 100 && random.OneIn(2)) {
          const struct chain chain = shared_pool_take(size_class, 1 + static_cast<uint32_t>(random.Below(20)));
          ASSERT_GE(chain.count, 1u);
          for (struct block *block = chain.head; block != nullptr;) {
            struct block *const next = block_next(block);
            memset(user_of_block(block), static_cast<int>(thread), 15);
            blocks.push_back(block);
            block = next;
          }
        } else {
          const size_t count = std::min(blocks.size(), random.Below(20));
          if (count == 0) continue;
          const std::vector<struct block *> given(blocks.end() - static_cast<ptrdiff_t>(count), blocks.end());
          blocks.resize(blocks.size() - count);
          for (struct block *block : given) {
            for (int i = 0; i < 15; ++i) ASSERT_EQ(thread, static_cast<unsigned char *>(user_of_block(block))[i]);
          }
          if (random.OneIn(3)) {
            shared_pool_sort_back(size_class, ChainOf(given));
          } else {
            shared_pool_give(size_class, ChainOf(given));
          }
        }
        if (random.OneIn(500)) shared_pool_drain();
      }
      if (!own[0].empty()) shared_pool_sort_back(kFewBlocks, ChainOf(own[0]));
      if (!own[1].empty()) shared_pool_sort_back(kManyBlocks, ChainOf(own[1]));
    });
  }
  for (std::thread &thread : threads) thread.join();
  shared_pool_drain();
  ExpectNothingLeft(kFewBlocks);
  ExpectNothingLeft(kManyBlocks);
}

}  // namespace
