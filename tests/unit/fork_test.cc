// SPDX-License-Identifier: Apache-2.0
//
// fork() in a process whose other threads are allocating: the child can use the whole heap at once, has every block of the
// parent, and loses no more than what the other threads had in their hands at that moment.

#include <pthread.h>

#include <atomic>
#include <thread>

#include "tests/unit/child_process.h"
#include "tests/unit/test_support.h"

#if HAK_TEST_SLOWDOWN > 1
// ThreadSanitizer ends a child that starts threads after its parent had some, unless it is asked not to.
extern "C" const char *__tsan_default_options() { return "die_after_fork=0"; }
#endif

namespace hak_test {
namespace {

constexpr size_t kNoiseThreads = 2;
constexpr size_t kNoiseSlots = 100, kNoiseSize = 2000;  // what one noisy thread holds at most: about 200 KB

// Threads that allocate and free in bursts, with short pauses, so that the thread that forks gets on.
class Noise {
 public:
  explicit Noise(size_t threads = kNoiseThreads) {
    for (size_t t = 0; t < threads; ++t) {
      threads_.emplace_back([this, t] {
        Random random(FirstSeed() * 77 + t);
        std::vector<void *> own(kNoiseSlots, nullptr);
        while (!stop_.load(std::memory_order_relaxed)) {
          void *&block = own[random.Below(own.size())];
          hak_free(block);
          block = hak_malloc(random.LogUniform(kNoiseSize));
          if (random.OneIn(50)) hak_free(hak_malloc(random.LogUniform(3 * kMiB)));
          if (random.OneIn(20000)) hak_trim(0);
          if (rounds_.fetch_add(1, std::memory_order_relaxed) % 500 == 0) usleep(100);
        }
        for (void *block : own) hak_free(block);
      });
    }
    // All of them are at it before anything else happens.
    while (rounds_.load() < 1000 * threads) std::this_thread::yield();
  }
  ~Noise() {
    stop_.store(true);
    for (std::thread &thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<size_t> rounds_{0};
  std::vector<std::thread> threads_;
};

struct Kept {
  void *block;
  size_t size;
};

std::vector<Kept> KeepBlocks() {
  std::vector<Kept> kept;
  std::vector<size_t> sizes = ClassBoundaries();
  for (size_t size : {50000, 65536, 300000, 1048577}) sizes.push_back(size);
  for (size_t size : sizes) {
    for (bool aligned : {false, true}) {
      void *const block = aligned ? hak_aligned_alloc(256, size) : hak_malloc(size);
      if (block == nullptr) abort();
      FillPattern(block, size, kept.size());
      kept.push_back({block, size});
    }
  }
  return kept;
}

void FreeKept(const std::vector<Kept> &kept, const char *where) {
  for (size_t i = 0; i < kept.size(); ++i) {
    const size_t wrong = FirstWrongByte(kept[i].block, kept[i].size, i);
    if (wrong != kNone) ChildFails("%s: byte %zu of a block of %zu was overwritten", where, wrong, kept[i].size);
    hak_free(kept[i].block);
  }
}

void UseEveryClass(uint64_t seed) {
  Random random(seed);
  std::vector<Kept> own;
  for (size_t size = 1; size < 100000; size += size / 8 + 7) {
    void *const block = random.OneIn(4) ? hak_calloc(1, size) : hak_malloc(size);
    if (block == nullptr) ChildFails("the child has no memory for %zu bytes", size);
    FillPattern(block, size, own.size());
    own.push_back({block, size});
  }
  FreeKept(own, "a child's block");
}

void ExpectChildFiguresAddUp() {
  hak_statistics s;
  if (hak_get_statistics(&s, sizeof s) != 0) ChildFails("no statistics in the child");
  for (uint32_t c = 0; c < s.classes; ++c) {
    const hak_class_statistics &one = s.by_class[c];
    if (one.blocks_carved != one.blocks_live + one.blocks_cached + one.blocks_free) {
      ChildFails("class %u: %zu carved, %zu live, %zu cached, %zu free", c, one.blocks_carved, one.blocks_live,
                 one.blocks_cached, one.blocks_free);
    }
  }
  if (s.committed_bytes != s.slab_bytes + s.large_bytes + s.dirty_bytes) ChildFails("committed bytes do not add up");
}

// What other threads had in hand is nobody's, but nothing is wrong with it.
void ExpectWholeHeap(const char *when) {
  struct hak_misuse found;
  if (ChecksLevel() != 2 || hak_check_heap(&found) == 0) return;
  ChildFails("%s: hak_check_heap: %s, state %d, offset %td, %zu usable bytes", when, found.message, found.state,
             found.offset, found.usable_size);
}

// What a child does with the heap it inherited.
int UseInheritedHeap(const std::vector<Kept> &kept, uint64_t seed) {
  ExpectWholeHeap("before anything else");
  UseEveryClass(seed);
  FreeKept(kept, "a block of the parent");
  if (seed % 4 != 0) return 0;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 2; ++t) threads.emplace_back(UseEveryClass, seed + t + 1);
  for (std::thread &thread : threads) thread.join();
  hak_trim(0);
  ExpectChildFiguresAddUp();
  UseEveryClass(seed);
  ExpectWholeHeap("at the end");
  return 0;
}

class ForkTest : public AllocatorTest {};

// Fork handlers of others, which use the heap. They cannot be taken back, so they can be switched off.
struct Handlers {
  std::atomic<int> calls{0};
  std::atomic<bool> armed{false};
  void Use() {
    if (!armed.load()) return;
    for (size_t size : {10, 1000, 50000, 2000000}) {
      void *const block = hak_malloc(size);
      if (block == nullptr) ChildFails("no memory in a fork handler");
      memset(block, 1, size);
      hak_free(hak_realloc(block, size + 100));
    }
    calls.fetch_add(1);
  }
};
Handlers handlers_before, handlers_after;

// Before the allocator registers its own, which it does in a constructor of priority 101: between that one's prepare
// handler and the fork these run while it holds its locks.
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wprio-ctor-dtor"
#endif
__attribute__((constructor(100))) void RegisterHandlersBefore() {
  const auto use = [] { handlers_before.Use(); };
  if (pthread_atfork(use, use, use) != 0) abort();
}

TEST_F(ForkTest, ChildOfABusyProcessUsesTheHeap) {
  const std::vector<Kept> kept = KeepBlocks();
  {
    Noise noise;
    for (size_t i = 0; i < Scaled(200); ++i) {
      const int status = RunInChild([&] { return UseInheritedHeap(kept, FirstSeed() + i); });
      ASSERT_EQ(0, status) << "child " << i << ": " << DescribeStatus(status);
      // The parent goes on as if nothing had happened.
      if (i % 10 == 0) UseEveryClass(i);
    }
  }
  FreeKept(kept, "a block of the parent, in the parent");
}

TEST_F(ForkTest, AThreadForks) {
  const std::vector<Kept> kept = KeepBlocks();
  {
    Noise noise;
    std::atomic<int> failures{0};
    std::vector<std::thread> threads;
    // Two threads fork at the same time.
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        for (size_t i = 0; i < Scaled(30); ++i) {
          const int status = RunInChild([&] { return UseInheritedHeap(kept, FirstSeed() + i); });
          if (status != 0) {
            fprintf(stderr, "thread %d, child %zu: %s\n", t, i, DescribeStatus(status).c_str());
            failures.fetch_add(1);
          }
        }
      });
    }
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(0, failures.load());
  }
  FreeKept(kept, "a block of the parent, in the parent");
}

TEST_F(ForkTest, ChildrenHaveChildren) {
  const std::vector<Kept> kept = KeepBlocks();
  {
    Noise noise;
    const int status = RunInChild([&] {
      Noise child_noise(2);
      const int inner = RunInChild([&] {
        Noise grandchild_noise(2);
        const int innermost = RunInChild([&] { return UseInheritedHeap(kept, 4); });
        if (innermost != 0) ChildFails("great-grandchild: %s", DescribeStatus(innermost).c_str());
        UseEveryClass(2);
        return 0;
      });
      if (inner != 0) ChildFails("grandchild: %s", DescribeStatus(inner).c_str());
      UseEveryClass(1);
      return 0;
    });
    EXPECT_EQ(0, status) << DescribeStatus(status);
  }
  FreeKept(kept, "a block of the parent, in the parent");
}

// Other libraries' fork handlers allocate, before and after the allocator's own.
TEST_F(ForkTest, ForkHandlersUseTheHeap) {
  const auto use = [] { handlers_after.Use(); };
  ASSERT_EQ(0, pthread_atfork(use, use, use));
  for (Handlers *handlers : {&handlers_before, &handlers_after}) handlers->armed.store(true);
  {
    Noise noise;
    for (size_t i = 0; i < Scaled(30); ++i) {
      const int status = RunInChild([] {
        UseEveryClass(1);
        // prepare and child
        return handlers_before.calls.load() % 2 == 0 && handlers_after.calls.load() % 2 == 0 ? 0 : 1;
      });
      ASSERT_EQ(0, status) << DescribeStatus(status);
    }
  }
  for (Handlers *handlers : {&handlers_before, &handlers_after}) {
    EXPECT_EQ(static_cast<int>(2 * Scaled(30)), handlers->calls.load());  // prepare and parent
    handlers->armed.store(false);
  }
  const std::vector<Kept> kept = KeepBlocks();
  FreeKept(kept, "a block after forks");
}

// Threads that were quiet when the process forked lose nothing: what they had cached is the child's.
TEST_F(ForkTest, CachesOfQuietThreadsAreTakenOver) {
  constexpr int kThreads = 4;
  pthread_barrier_t barrier;
  ASSERT_EQ(0, pthread_barrier_init(&barrier, nullptr, kThreads + 1));
  const std::vector<size_t> boundaries = ClassBoundaries();
  hak_trim(0);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (size_t size : boundaries) {
        std::vector<void *> blocks(size < 1000 ? 600 : 20);
        for (void *&block : blocks) block = hak_malloc(size);
        for (void *block : blocks) hak_free(block);
      }
      pthread_barrier_wait(&barrier);
      pthread_barrier_wait(&barrier);
    });
  }
  pthread_barrier_wait(&barrier);
  EXPECT_GT(Statistics().cached_bytes, kMiB) << "the threads should have full caches";
  const int status = RunInChild([&] {
    hak_statistics s;
    if (hak_get_statistics(&s, sizeof s) != 0) ChildFails("no statistics in the child");
    if (s.live_bytes != 0) ChildFails("the child lost %zu bytes", s.live_bytes);
    if (s.threads > 1) ChildFails("%u threads have a cache in the child", s.threads);
    UseEveryClass(1);
    hak_trim(0);
    ExpectChildFiguresAddUp();
    if (hak_get_statistics(&s, sizeof s) != 0) ChildFails("no statistics in the child");
    if (s.committed_bytes != 0) ChildFails("%zu bytes are still committed in the child", s.committed_bytes);
    return 0;
  });
  EXPECT_EQ(0, status) << DescribeStatus(status);
  pthread_barrier_wait(&barrier);
  for (std::thread &thread : threads) thread.join();
  pthread_barrier_destroy(&barrier);
  ExpectTrimLeavesNothing();
}

// One generation after the other forks while threads are busy: what is lost adds up to no more than what these threads
// held in their hands, in live blocks and in caches that were being moved about.
int Generation(int generation, int last) {
  if (generation == last) {
    hak_trim(0);
    ExpectChildFiguresAddUp();
    hak_statistics s;
    if (hak_get_statistics(&s, sizeof s) != 0) ChildFails("no statistics in the last generation");
    // Live: at most the slots of each thread, and one large block; a cache of these classes is at most 64 KiB a class.
    const size_t hands = kNoiseSlots * (kNoiseSize + kNoiseSize / 4 + 16) + 4 * kMiB;
    const size_t bound = static_cast<size_t>(last) * 2 * (hands + 24 * 64 * kKiB);
    if (s.live_bytes > bound) ChildFails("%d generations lost %zu bytes", last, s.live_bytes);
    // What is lost keeps its slabs, but no other memory stays.
    if (s.cached_bytes != 0) ChildFails("%zu bytes are cached after trim", s.cached_bytes);
    if (s.dirty_bytes != 0) ChildFails("%zu bytes are dirty after trim", s.dirty_bytes);
    UseEveryClass(1);
    return 0;
  }
  Noise noise(2);
  const int status = RunInChild([&] { return Generation(generation + 1, last); });
  if (status != 0) ChildFails("generation %d: %s", generation + 1, DescribeStatus(status).c_str());
  return 0;
}

TEST_F(ForkTest, LossIsBoundedOverGenerations) {
  const int last = static_cast<int>(Scaled(20));
  const int status = RunInChild([&] { return Generation(0, last); });
  EXPECT_EQ(0, status) << DescribeStatus(status);
}

}  // namespace
}  // namespace hak_test
