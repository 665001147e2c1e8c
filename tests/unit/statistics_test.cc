// SPDX-License-Identifier: Apache-2.0
//
// hak_get_statistics, hak_statistics_print, hak_options_print and hak_trim: the figures add up and agree with a model of
// what is live, callers with a shorter struct get no more than they know, the printed forms say the same.

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <thread>

#include "tests/unit/json_numbers.h"
#include "tests/unit/test_support.h"

namespace hak_test {
namespace {

using StatisticsTest = AllocatorTest;

TEST_F(StatisticsTest, AgreeWithAModelWhileBlocksComeAndGo) {
  Random random(FirstSeed());
  SCOPED_TRACE("seed " + std::to_string(FirstSeed()));
  LiveModel model;
  std::vector<void *> blocks;
  for (int round = 0; round < 40; ++round) {
    const bool growing = round % 4 != 3;
    for (int i = 0; i < 1000; ++i) {
      if (growing && !random.OneIn(3)) {
        void *const block = random.OneIn(10)
                                ? hak_aligned_alloc(size_t{1} << random.Below(16), random.LogUniform(20000))
                                : hak_malloc(random.LogUniform(random.OneIn(20) ? 2 * kMiB : 40000));
        ASSERT_NE(nullptr, block);
        model.Add(block);
        blocks.push_back(block);
      } else if (!blocks.empty()) {
        std::swap(blocks[random.Below(blocks.size())], blocks.back());
        model.Remove(blocks.back());
        hak_free(blocks.back());
        blocks.pop_back();
      }
    }
    if (round % 10 == 9) hak_trim(0);
    const hak_statistics s = Statistics();
    ExpectFiguresAddUp(s);
    model.ExpectEqual(s);
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
  for (void *block : blocks) hak_free(block);
}

// The live blocks of the ordinary class that serves a size, one of ClassBoundaries(); they are all that lives.
size_t BlocksWithSize(const hak_statistics &s, size_t size) {
  for (uint32_t i = 0; i < s.classes; ++i) {
    const hak_class_statistics &c = s.by_class[i];
    if (c.alignment != 16 || c.block_size <= size || c.block_size > size + 16) continue;
    EXPECT_EQ(c.blocks_live * (c.block_size - 1), s.live_bytes);
    return c.blocks_live;
  }
  return 0;
}

TEST_F(StatisticsTest, EveryClassIsCountedAsItself) {
  const std::vector<size_t> boundaries = ClassBoundaries();
  for (size_t usable : boundaries) {
    SCOPED_TRACE("usable size " + std::to_string(usable));
    void *const block = hak_malloc(usable);
    ASSERT_NE(nullptr, block);
    const hak_statistics s = Statistics();
    EXPECT_EQ(1u, BlocksWithSize(s, usable));
    LiveModel model;
    model.Add(block);
    model.ExpectEqual(s);
    hak_free(block);
    const hak_statistics after = Statistics();
    EXPECT_EQ(0u, after.live_bytes);
    ExpectFiguresAddUp(after);
  }
  // The classes of ordinary blocks hold the sizes that malloc gives.
  const hak_statistics s = Statistics();
  size_t found = 0;
  for (uint32_t i = 0; i < s.classes; ++i) {
    for (size_t usable : boundaries) found += s.by_class[i].block_size == usable + 1 && s.by_class[i].alignment == 16;
  }
  EXPECT_EQ(found + 1, boundaries.size()) << "of the last class, malloc does not use the last bytes";
}

TEST_F(StatisticsTest, AddUpWithThreadsAndAfterTheyExited) {
  hak_trim(0);
  const hak_statistics before = Statistics();
  constexpr int kThreads = 4;
  std::vector<void *> left[kThreads];
  // All threads are alive, and quiet, while the first snapshot is taken.
  pthread_barrier_t barrier;
  ASSERT_EQ(0, pthread_barrier_init(&barrier, nullptr, kThreads + 1));
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Random random(FirstSeed() + t);
      std::vector<void *> blocks;
      for (size_t i = 0; i < Scaled(20000); ++i) {
        void *const block = hak_malloc(random.LogUniform(random.OneIn(100) ? 300000 : 20000));
        if (block == nullptr) abort();
        blocks.push_back(block);
        if (random.OneIn(2)) {
          std::swap(blocks[random.Below(blocks.size())], blocks.back());
          hak_free(blocks.back());
          blocks.pop_back();
        }
      }
      left[t] = blocks;
      pthread_barrier_wait(&barrier);
      pthread_barrier_wait(&barrier);  // the main thread looks
    });
  }
  pthread_barrier_wait(&barrier);
  {
    SCOPED_TRACE("threads alive");
    LiveModel model;
    for (const auto &blocks : left) {
      for (void *block : blocks) model.Add(block);
    }
    const hak_statistics s = Statistics();
    ExpectFiguresAddUp(s);
    model.ExpectEqual(s);
    EXPECT_GE(s.threads, before.threads + kThreads);
  }
  pthread_barrier_wait(&barrier);
  for (std::thread &thread : threads) thread.join();
  pthread_barrier_destroy(&barrier);
  {
    SCOPED_TRACE("threads joined");
    LiveModel model;
    for (const auto &blocks : left) {
      for (void *block : blocks) model.Add(block);
    }
    const hak_statistics s = Statistics();
    ExpectFiguresAddUp(s);
    model.ExpectEqual(s);
    EXPECT_EQ(before.threads, s.threads);
  }
  for (const auto &blocks : left) {
    for (void *block : blocks) hak_free(block);
  }
  ExpectNothingLive("after all was freed");
  ExpectTrimLeavesNothing();
}

TEST_F(StatisticsTest, LiveMemoryIsCommitted) {
  hak_trim(0);
  std::vector<void *> blocks;
  for (int i = 0; i < 2000; ++i) blocks.push_back(hak_malloc(3000));
  for (int i = 0; i < 5; ++i) blocks.push_back(hak_malloc(3 * kMiB));
  hak_statistics s = Statistics();
  EXPECT_GE(s.live_bytes, 2000u * 3000 + 5 * 3 * kMiB);
  EXPECT_GE(s.slab_bytes, 2000u * 3000);
  EXPECT_GE(s.large_bytes, 5 * 3 * kMiB);
  EXPECT_GE(s.large_live_blocks, 5u);
  EXPECT_GE(s.committed_bytes, s.live_bytes);
  EXPECT_LE(s.committed_bytes, s.live_bytes + s.live_bytes / 4 + 2 * kMiB);
  EXPECT_GT(s.metadata_bytes, 0u);
  EXPECT_GT(s.system_calls, 0u);
  const size_t purged = s.purged_bytes;
  for (void *block : blocks) hak_free(block);
  hak_trim(0);
  s = Statistics();
  EXPECT_GE(s.purged_bytes, purged + 2000u * 3000 + 5 * 3 * kMiB);
}

TEST_F(StatisticsTest, ShortStructsAreNotOverrun) {
  alignas(hak_statistics) unsigned char bytes[sizeof(hak_statistics) + 64];
  const hak_statistics full = Statistics();
  for (size_t size : {size_t{16}, size_t{24}, size_t{40}, size_t{100}, offsetof(hak_statistics, by_class),
                      offsetof(hak_statistics, by_class) + 3, sizeof(hak_statistics) - 1, sizeof(hak_statistics),
                      sizeof(hak_statistics) + 1, sizeof bytes}) {
    SCOPED_TRACE("size " + std::to_string(size));
    memset(bytes, 0xEE, sizeof bytes);
    EXPECT_EQ(0, hak_get_statistics(reinterpret_cast<hak_statistics *>(bytes), size));
    const size_t known = size < sizeof(hak_statistics) ? size : sizeof(hak_statistics);
    for (size_t i = known; i < sizeof bytes; ++i) ASSERT_EQ(0xEE, bytes[i]) << "byte " << i << " was written";
    hak_statistics seen = full;
    memcpy(static_cast<void *>(&seen), bytes, known);
    EXPECT_EQ(static_cast<uint32_t>(HAK_STATISTICS_VERSION), seen.version);
    EXPECT_EQ(full.classes, seen.classes);
    EXPECT_EQ(full.threads, seen.threads);
    EXPECT_EQ(full.live_bytes, seen.live_bytes);
    EXPECT_EQ(full.committed_bytes, seen.committed_bytes);
  }
  for (size_t size : {0, 1, 8, 15}) {
    memset(bytes, 0xEE, sizeof bytes);
    EXPECT_EQ(EINVAL, hak_get_statistics(reinterpret_cast<hak_statistics *>(bytes), size)) << size;
    for (size_t i = 0; i < sizeof bytes; ++i) ASSERT_EQ(0xEE, bytes[i]) << "byte " << i << " was written";
  }
  EXPECT_EQ(EINVAL, hak_get_statistics(nullptr, sizeof(hak_statistics)));
  EXPECT_EQ(EINVAL, hak_get_statistics(nullptr, 0));
}

// What `print` writes to a pipe. A second thread reads, as the text may be longer than the pipe holds.
template <typename Print>
std::string Printed(Print print) {
  int ends[2];
  EXPECT_EQ(0, pipe(ends));
  std::string text;
  std::thread reader([&] {
    char buffer[4096];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  });
  EXPECT_EQ(0, print(ends[1]));
  close(ends[1]);
  reader.join();
  close(ends[0]);
  return text;
}

TEST_F(StatisticsTest, PrintedJsonSaysTheSame) {
  std::vector<void *> blocks;
  for (size_t size : {10, 100, 100, 1000, 10000, 100000, 1000000, 10000000}) {
    blocks.push_back(hak_malloc(size));
    blocks.push_back(hak_aligned_alloc(256, size));
  }
  const std::string text = Printed(hak_statistics_print);
  const hak_statistics s = Statistics();
  JsonNumbers json;
  ASSERT_EQ("", json.Read(text)) << text;
  ASSERT_EQ('{', text[0]) << text;
  const auto expect = [&](const char *name, uint64_t value) {
    const auto found = json.numbers().find(name);
    ASSERT_NE(found, json.numbers().end()) << name << " is missing in: " << text;
    EXPECT_EQ(value, found->second) << name;
  };
  expect("version", s.version);
  expect("threads", s.threads);
  expect("live_bytes", s.live_bytes);
  expect("small_live_bytes", s.small_live_bytes);
  expect("large_live_bytes", s.large_live_bytes);
  expect("large_live_blocks", s.large_live_blocks);
  expect("cached_bytes", s.cached_bytes);
  expect("free_bytes", s.free_bytes);
  expect("slab_bytes", s.slab_bytes);
  expect("large_bytes", s.large_bytes);
  expect("committed_bytes", s.slab_bytes + s.large_bytes + s.dirty_bytes);
  expect("mapped_bytes", s.mapped_bytes);
  for (const char *name : {"dirty_bytes", "metadata_bytes", "purged_bytes", "system_calls"}) {
    EXPECT_EQ(1u, json.numbers().count(name)) << name << " is missing in: " << text;
  }
  // The classes in the text hold the same live blocks.
  uint64_t live = 0, printed_live = 0;
  for (uint32_t i = 0; i < s.classes; ++i) live += s.by_class[i].blocks_live;
  for (const auto &[path, value] : json.numbers()) {
    const std::string end = ".blocks_live";
    if (path.size() > end.size() && path.compare(path.size() - end.size(), end.size(), end) == 0) printed_live += value;
  }
  EXPECT_EQ(live, printed_live) << text;
  for (void *block : blocks) hak_free(block);
}

TEST_F(StatisticsTest, OptionsPrintListsEveryOption) {
  const std::string text = Printed(hak_options_print);
  EXPECT_NE(std::string::npos, text.find("purge_delay_ms")) << text;
  EXPECT_EQ('\n', text.back());
}

TEST_F(StatisticsTest, PrintingToABadDescriptorGivesItsErrno) {
  EXPECT_EQ(EBADF, hak_statistics_print(-1));
  EXPECT_EQ(EBADF, hak_options_print(-1));
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  EXPECT_EQ(ENOSPC, hak_statistics_print(full));
  EXPECT_EQ(ENOSPC, hak_options_print(full));
  close(full);
}

// ---- trim ----

TEST_F(StatisticsTest, TrimSaysWhetherItGaveAnythingBack) {
  hak_trim(0);
  EXPECT_EQ(0, hak_trim(0)) << "nothing is left to give";
  std::vector<void *> blocks(Scaled(20000));
  for (void *&block : blocks) memset(block = hak_malloc(1000), 1, 1000);
  EXPECT_EQ(0, hak_trim(SIZE_MAX)) << "all may stay";
  for (void *block : blocks) hak_free(block);
  EXPECT_EQ(0, hak_trim(SIZE_MAX)) << "all may stay";
  EXPECT_EQ(1, hak_trim(0));
  EXPECT_EQ(0, hak_trim(0));
  ExpectTrimLeavesNothing();
}

// A long span is given back when it is freed: at once, or with the Box when it leaves the quarantine, which a trim empties.
TEST_F(StatisticsTest, TrimCountsWhatLeavesTheQuarantine) {
  constexpr size_t kSize = 3 * kMiB;
  hak_trim(0);
  char *const block = static_cast<char *>(hak_malloc(kSize));
  ASSERT_NE(nullptr, block);
  memset(block, 1, kSize);
  hak_free(block);
  const size_t purged = Statistics().purged_bytes;
  const int answer = hak_trim(0);
  EXPECT_EQ(Statistics().purged_bytes != purged, answer != 0);
  EXPECT_EQ(0, hak_trim(0));
}

TEST_F(StatisticsTest, TrimKeepsNoMoreThanItMay) {
  for (size_t keep : {size_t{0}, size_t{1}, kMiB, 5 * kMiB}) {
    std::vector<void *> blocks(10000);
    for (void *&block : blocks) memset(block = hak_malloc(1000), 1, 1000);
    for (void *block : blocks) hak_free(block);
    hak_trim(keep);
    const hak_statistics s = Statistics();
    ExpectFiguresAddUp(s);
    EXPECT_LE(s.dirty_bytes + s.cached_bytes + s.free_bytes, keep) << "keep " << keep;
  }
}

TEST_F(StatisticsTest, TrimLeavesLiveBlocksAlone) {
  std::vector<void *> blocks(5000);
  for (size_t i = 0; i < blocks.size(); ++i) {
    blocks[i] = hak_malloc(i * 7 % 3000);
    ASSERT_NE(nullptr, blocks[i]);
    FillPattern(blocks[i], hak_usable_size(blocks[i]), i);
  }
  for (size_t i = 0; i < blocks.size(); i += 3) hak_free(blocks[i]);
  hak_trim(0);
  EXPECT_EQ(0u, Statistics().dirty_bytes);
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 3 == 0) continue;
    ASSERT_EQ(kNone, FirstWrongByte(blocks[i], hak_usable_size(blocks[i]), i)) << "block " << i;
    hak_free(blocks[i]);
  }
  ExpectTrimLeavesNothing();
}

}  // namespace
}  // namespace hak_test
