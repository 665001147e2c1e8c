// SPDX-License-Identifier: Apache-2.0
//
// Many threads at once: they free, reallocate and check each other's blocks, come and go by the thousand, and hand memory
// one way from producers to consumers. Contents are checked everywhere, and afterwards that nothing stayed behind.
// Threads run free, so that a run is not repeatable; the seed still decides what each thread does.

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "tests/unit/test_support.h"

namespace hak_test {
namespace {

// The first failure of any thread; the others stop when they see it.
class Failure {
 public:
  void Set(const std::string &what) {
    std::lock_guard<std::mutex> guard(mutex_);
    if (what_.empty()) what_ = what;
    seen_.store(true);
  }
  bool Seen() const { return seen_.load(std::memory_order_relaxed); }
  std::string What() {
    std::lock_guard<std::mutex> guard(mutex_);
    return what_;
  }

 private:
  std::mutex mutex_;
  std::string what_;
  std::atomic<bool> seen_{false};
};

class StressTest : public AllocatorTest {
 protected:
  void SetUp() override {
    AllocatorTest::SetUp();
    hak_free(hak_malloc(1));  // from here on this thread has a cache
    hak_trim(0);
    threads_before_ = Statistics().threads;
  }

  void TearDown() override {
    EXPECT_EQ("", failure_.What()) << "first seed " << FirstSeed() << " (set HAK_TEST_SEED for another)";
    AllocatorTest::TearDown();
    EXPECT_EQ(threads_before_, Statistics().threads) << "threads that ended still have a cache";
    if (!HasFailure()) ExpectTrimLeavesNothing();
  }

  Failure failure_;
  uint32_t threads_before_ = 0;
};

// A block that says what it is: {size, key} and then the pattern of the key, to the size.
struct Labelled {
  size_t size;
  uint64_t key;
};
constexpr size_t kLabel = sizeof(Labelled);

void Label(void *block, size_t size, uint64_t key) {
  *static_cast<Labelled *>(block) = {size, key};
  FillPattern(static_cast<char *>(block) + kLabel, size - kLabel, key);
}

// Empty if the block is as Label left it, up to `limit` bytes of it.
std::string LabelFault(const void *block, size_t limit = SIZE_MAX) {
  const Labelled label = *static_cast<const Labelled *>(block);
  if (label.size < kLabel || label.size > hak_usable_size(block)) {
    if (limit == SIZE_MAX) return "a block's label was overwritten: size " + std::to_string(label.size);
  }
  const size_t size = label.size < limit ? label.size : limit;
  const size_t wrong = FirstWrongByte(static_cast<const char *>(block) + kLabel, size - kLabel, label.key);
  if (wrong == kNone) return "";
  return "byte " + std::to_string(wrong + kLabel) + " of a block of " + std::to_string(label.size) + " was overwritten";
}

size_t StressSize(Random &random) {
  const size_t limit = random.OneIn(200) ? 3 * kMiB : random.OneIn(10) ? 100 * kKiB : 2000;
  return kLabel + random.LogUniform(limit);
}

void *StressAllocate(Random &random, Failure *failure) {
  const size_t size = StressSize(random);
  void *block = nullptr;
  size_t alignment = 16;
  switch (random.Below(8)) {
    case 0:
      block = hak_calloc(1, size);
      if (block != nullptr && FirstNonZero(block, hak_usable_size(block)) != kNone) {
        failure->Set("calloc of " + std::to_string(size) + " is not zero at " +
                     std::to_string(FirstNonZero(block, hak_usable_size(block))));
      }
      break;
    case 1:
      alignment = size_t{1} << random.Below(14);
      block = hak_aligned_alloc(alignment, size);
      break;
    case 2:
      alignment = size_t{1} << random.Between(3, random.OneIn(50) ? 21 : 12);
      if (hak_posix_memalign(&block, alignment, size) != 0) block = nullptr;
      break;
    default:
      block = hak_malloc(size);
  }
  if (block == nullptr) {
    failure->Set("no memory for " + std::to_string(size) + " bytes");
    return nullptr;
  }
  if (!IsAligned(block, alignment) || !IsAligned(block, 16)) failure->Set("a misaligned block");
  if (hak_usable_size(block) < size) failure->Set("a block that is too small for " + std::to_string(size));
  Label(block, size, random.Next());
  return block;
}

void *StressReallocate(Random &random, void *block, Failure *failure) {
  const std::string fault = LabelFault(block);
  if (!fault.empty()) failure->Set(fault);
  const size_t size = StressSize(random);
  void *const moved = hak_realloc(block, size);
  if (moved == nullptr) {
    failure->Set("no memory in realloc");
    return block;
  }
  const std::string moved_fault = LabelFault(moved, size);
  if (!moved_fault.empty()) failure->Set("after realloc to " + std::to_string(size) + ": " + moved_fault);
  Label(moved, size, random.Next());
  return moved;
}

void StressFree(void *block, Failure *failure) {
  if (block == nullptr) return;
  const std::string fault = LabelFault(block);
  if (!fault.empty()) failure->Set(fault);
  hak_free(block);
}

// Every thread puts blocks into a shared array and takes out what another put there.
TEST_F(StressTest, ThreadsFreeEachOthersBlocks) {
  constexpr size_t kThreads = 4, kSlots = 512;
  static std::atomic<void *> slots[kSlots];
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      Random random(FirstSeed() * 1000 + t);
      std::vector<void *> own(64, nullptr);
      for (size_t step = 0; step < Scaled(150000) && !failure_.Seen(); ++step) {
        void *&block = own[random.Below(own.size())];
        switch (random.Below(4)) {
          case 0:
            if (block != nullptr) block = StressReallocate(random, block, &failure_);
            break;
          case 1:
            StressFree(block, &failure_);
            block = StressAllocate(random, &failure_);
            break;
          default:
            // Release what this thread wrote, acquire what the other did.
            block = slots[random.Below(kSlots)].exchange(block, std::memory_order_acq_rel);
        }
        if (random.OneIn(20000)) hak_trim(0);
      }
      for (void *block : own) StressFree(block, &failure_);
    });
  }
  for (std::thread &thread : threads) thread.join();
  for (std::atomic<void *> &slot : slots) StressFree(slot.exchange(nullptr), &failure_);
}

// Statistics and trims run beside the others, and never see anything impossible.
TEST_F(StressTest, StatisticsAreReadWhileThreadsRun) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 3; ++t) {
    threads.emplace_back([this, t, &stop] {
      Random random(FirstSeed() * 1000 + t);
      std::vector<void *> own(200, nullptr);
      while (!stop.load() && !failure_.Seen()) {
        void *&block = own[random.Below(own.size())];
        StressFree(block, &failure_);
        block = StressAllocate(random, &failure_);
      }
      for (void *block : own) StressFree(block, &failure_);
    });
  }
  for (size_t i = 0; i < Scaled(10000); ++i) {
    const hak_statistics s = Statistics();
    EXPECT_EQ(s.committed_bytes, s.slab_bytes + s.large_bytes + s.dirty_bytes);
    EXPECT_EQ(s.live_bytes, s.small_live_bytes + s.large_live_bytes);
    EXPECT_LE(s.mapped_bytes, 8 * 1024 * kMiB);
    EXPECT_LE(s.live_bytes, 8 * 1024 * kMiB) << "a count went below zero";
    for (uint32_t c = 0; c < s.classes; ++c) {
      const hak_class_statistics &one = s.by_class[c];
      EXPECT_EQ(one.blocks_carved, one.blocks_live + one.blocks_cached + one.blocks_free);
    }
    if (i % 16 == 0) hak_trim(i % 32 == 0 ? 0 : kMiB);
    if (HasFailure()) break;
  }
  stop.store(true);
  for (std::thread &thread : threads) thread.join();
}

// Thousands of short threads; each leaves blocks to those that come after it, and frees what others left.
TEST_F(StressTest, ThreadsComeAndGo) {
  const size_t count = HAK_TEST_SLOWDOWN > 1 ? 400 : 2400;
  std::mutex mutex;
  std::deque<void *> left;
  const auto work = [&](uint64_t seed) {
    Random random(seed);
    std::vector<void *> own;
    for (int i = 0; i < 30; ++i) own.push_back(StressAllocate(random, &failure_));
    std::vector<void *> found;
    {
      std::lock_guard<std::mutex> guard(mutex);
      for (int i = 0; i < 20 && left.size() > 200; ++i) {
        found.push_back(left.front());
        left.pop_front();
      }
      for (int i = 0; i < 20; ++i) {
        left.push_back(own.back());
        own.pop_back();
      }
    }
    for (void *block : own) StressFree(block, &failure_);
    for (void *block : found) StressFree(block, &failure_);
  };
  size_t committed_early = 0, metadata_early = 0;
  for (size_t started = 0; started < count && !failure_.Seen();) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) threads.emplace_back(work, FirstSeed() * 100000 + started++);
    for (std::thread &thread : threads) thread.join();
    if (started == count / 4) {
      hak_trim(0);
      const hak_statistics s = Statistics();
      committed_early = s.committed_bytes;
      metadata_early = s.metadata_bytes;
    }
  }
  hak_trim(0);
  const hak_statistics s = Statistics();
  ExpectFiguresAddUp(s);
  EXPECT_EQ(threads_before_, s.threads);
  // Threads that ended cost nothing: only the few hundred blocks that were left are still there.
  EXPECT_LE(s.committed_bytes, 2 * committed_early + 16 * kMiB);
  EXPECT_LE(s.metadata_bytes, metadata_early + metadata_early / 2 + (ChecksLevel() == 2 ? 128 : 64) * kKiB);
  EXPECT_LE(s.cached_bytes, 0u);
  EXPECT_LE(left.size(), 1000u);
  for (void *block : left) StressFree(block, &failure_);
}

// A bounded queue from producers to consumers.
class BlockQueue {
 public:
  explicit BlockQueue(size_t limit) : limit_(limit) {}
  void Put(std::vector<void *> batch) {
    std::unique_lock<std::mutex> guard(mutex_);
    room_.wait(guard, [this] { return batches_.size() < limit_; });
    batches_.push_back(std::move(batch));
    filled_.notify_one();
  }
  // An empty batch says that there are no more.
  std::vector<void *> Take() {
    std::unique_lock<std::mutex> guard(mutex_);
    filled_.wait(guard, [this] { return !batches_.empty(); });
    std::vector<void *> batch = std::move(batches_.front());
    batches_.pop_front();
    room_.notify_one();
    return batch;
  }

 private:
  const size_t limit_;
  std::mutex mutex_;
  std::condition_variable room_, filled_;
  std::deque<std::vector<void *>> batches_;
};

class ProducerConsumer : public StressTest, public ::testing::WithParamInterface<size_t> {};

// Memory that is allocated on one thread and freed on another does not pile up: the heap stays in proportion to what is
// live, however long this goes on.
TEST_P(ProducerConsumer, HeapStaysBounded) {
  const size_t size = GetParam();
  constexpr size_t kQueued = 16;  // batches
  const size_t batch_blocks = size < 4096 ? 1000 : 4 * kMiB / size + 1;
  const size_t total = Scaled(256) * kMiB;
  const size_t live_peak = (kQueued + 4) * batch_blocks * (size + size / 4 + 16);
  const size_t mapped_before = Statistics().mapped_bytes;
  BlockQueue queue(kQueued);
  std::thread producer([&] {
    for (size_t sent = 0; sent < total && !failure_.Seen(); sent += batch_blocks * size) {
      std::vector<void *> batch(batch_blocks);
      for (void *&block : batch) {
        block = hak_malloc(size);
        if (block == nullptr) {
          failure_.Set("no memory");
          break;
        }
        Label(block, size < 256 ? size : 256, sent);
      }
      queue.Put(std::move(batch));
    }
    queue.Put({});
  });
  std::thread consumer([&] {
    for (;;) {
      const std::vector<void *> batch = queue.Take();
      if (batch.empty()) break;
      for (void *block : batch) StressFree(block, &failure_);
    }
  });
  std::atomic<bool> stop{false};
  size_t committed_peak = 0, mapped_peak = 0;
  std::thread watcher([&] {
    while (!stop.load()) {
      const hak_statistics s = Statistics();
      if (s.committed_bytes > committed_peak) committed_peak = s.committed_bytes;
      if (s.mapped_bytes > mapped_peak) mapped_peak = s.mapped_bytes;
      usleep(1000);
    }
  });
  producer.join();
  consumer.join();
  stop.store(true);
  watcher.join();
  EXPECT_LE(committed_peak, 2 * live_peak + 8 * kMiB);
  EXPECT_LE(mapped_peak, std::max(mapped_before, 2 * live_peak + 16 * kMiB));
}

INSTANTIATE_TEST_SUITE_P(Sizes, ProducerConsumer,
                         ::testing::Values(16, 64, 200, 1024, 4000, 20000, 33000, 200000, 1100000),
                         ::testing::PrintToStringParamName());

// A thread that ends gives its whole cache back: all classes, filled to the brim.
TEST_F(StressTest, ThreadExitReturnsEverything) {
  const std::vector<size_t> boundaries = ClassBoundaries();
  hak_trim(0);
  for (int round = 0; round < 3; ++round) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (size_t size : boundaries) {
          std::vector<void *> blocks(size < 1000 ? 600 : 100);
          for (void *&block : blocks) block = hak_malloc(size);
          for (void *block : blocks) hak_free(block);
          for (void *&block : blocks) block = hak_aligned_alloc(128, size);
          for (void *block : blocks) hak_free(block);
        }
      });
    }
    for (std::thread &thread : threads) thread.join();
    ExpectNothingLive("threads joined");
    EXPECT_EQ(threads_before_, Statistics().threads);
    ExpectTrimLeavesNothing();
  }
}

// Freeing and allocating still work in a thread's last moments: in the destructors of its thread-local objects and of
// its thread-specific data, in any order with the allocator's own.
TEST_F(StressTest, DestructorsOfThreadsUseTheHeap) {
  static pthread_key_t keys[8];
  static std::atomic<int> destroyed{0};
  for (pthread_key_t &key : keys) {
    ASSERT_EQ(0, pthread_key_create(&key, [](void *value) {
                hak_free(value);
                hak_free(hak_calloc(10, 100));
                void *const big = hak_realloc(hak_malloc(50), 100000);
                hak_free(big);
                destroyed.fetch_add(1);
              }));
  }
  struct Holder {
    void *block = hak_malloc(333);
    ~Holder() {
      hak_free(block);
      hak_free(hak_malloc(333));
    }
  };
  const size_t count = Scaled(200);
  for (size_t i = 0; i < count; ++i) {
    std::thread([] {
      thread_local Holder holder;
      if (holder.block == nullptr) abort();
      for (pthread_key_t key : keys) {
        if (pthread_setspecific(key, hak_malloc(100)) != 0) abort();
      }
    }).join();
  }
  EXPECT_EQ(static_cast<int>(8 * count), destroyed.load());
  for (pthread_key_t key : keys) pthread_key_delete(key);
}

#if HAK_TEST_SLOWDOWN == 1
size_t ResidentBytes() {
  FILE *const file = fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  size_t total = 0, resident = 0;
  const int read = fscanf(file, "%zu %zu", &total, &resident);
  fclose(file);
  return read == 2 ? resident * static_cast<size_t>(sysconf(_SC_PAGESIZE)) : 0;
}

// What the operating system says, beside what the statistics say: allocated here, freed there, given back.
TEST_F(StressTest, ResidentMemoryComesBackAfterCrossThreadFree) {
  constexpr size_t kBytes = 256 * kMiB, kSize = 100;
  std::vector<void *> blocks(kBytes / 128);
  memset(static_cast<void *>(blocks.data()), 0xFF, blocks.size() * sizeof(void *));
  const size_t before = ResidentBytes();
  ASSERT_GT(before, 0u);
  for (void *&block : blocks) memset(block = hak_malloc(kSize), 1, kSize);
  EXPECT_GE(ResidentBytes(), before + kBytes / 2);
  std::thread([&] {
    for (void *block : blocks) hak_free(block);
  }).join();
  hak_trim(0);
  EXPECT_LE(ResidentBytes(), before + 16 * kMiB);
}
#endif

}  // namespace
}  // namespace hak_test
