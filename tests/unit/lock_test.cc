// SPDX-License-Identifier: Apache-2.0
//
// Mutual exclusion, and that whoever sleeps is woken: os/lock. A lost wake-up shows as a thread that does not come back:
// the test then says so after a while, and ends its process.

#include "allocator/os/lock.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"

namespace {

using hak_test::ChildFails;
using hak_test::Scaled;

uint32_t StateOf(const struct lock &lock) { return __atomic_load_n(&lock.state, __ATOMIC_RELAXED); }

template <typename Condition>
void WaitUntil(Condition condition, const char *what) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) ChildFails("waited in vain until %s", what);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

FRESH_TEST(LockTest, ZeroIsUnlocked) {
  struct lock lock = {};
  ASSERT_TRUE(lock_try(&lock));
  EXPECT_FALSE(lock_try(&lock));
  lock_release(&lock);
  EXPECT_TRUE(lock_try(&lock));
  lock_release(&lock);
  EXPECT_EQ(0u, StateOf(lock));
}

// 2 would make every release a system call.
FRESH_TEST(LockTest, WhereNobodyWaitsNobodyIsWoken) {
  struct lock lock = {};
  for (int i = 0; i < 3; ++i) {
    lock_acquire(&lock);
    EXPECT_EQ(1u, StateOf(lock));
    lock_release(&lock);
    EXPECT_EQ(0u, StateOf(lock));
  }
}

FRESH_TEST(LockTest, OneThreadAtATime) {
  static struct lock lock;
  static size_t plain_counter;  // not atomic: the lock alone keeps it right, and ThreadSanitizer sees whether it does
  static std::atomic<int> inside{0};
  constexpr size_t rounds = Scaled(30000);
  const int thread_count = 4;
  std::vector<std::thread> threads;
  static std::atomic<size_t> overlaps{0};
  for (int i = 0; i < thread_count; ++i) {
    threads.emplace_back([] {
      for (size_t round = 0; round < rounds; ++round) {
        lock_acquire(&lock);
        if (inside.fetch_add(1) != 0) ++overlaps;
        ++plain_counter;
        // Now and then for longer than the others spin, so that they sleep.
        if (round % 1000 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
        inside.fetch_sub(1);
        lock_release(&lock);
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(0u, overlaps.load());
  EXPECT_EQ(rounds * thread_count, plain_counter);
  EXPECT_EQ(0u, StateOf(lock));
}

FRESH_TEST(LockTest, ReleaseWakesASleeper) {
  static struct lock lock;
  static std::atomic<bool> has_it{false};
  lock_acquire(&lock);
  std::thread waiter([] {
    lock_acquire(&lock);
    has_it = true;
    lock_release(&lock);
  });
  WaitUntil([] { return StateOf(lock) == 2; }, "a waiter announces that it sleeps");
  EXPECT_FALSE(has_it);
  lock_release(&lock);
  WaitUntil([] { return has_it.load(); }, "the sleeper has the lock");
  waiter.join();
  EXPECT_EQ(0u, StateOf(lock));
}

// Each release wakes one: the one that is woken must leave word for the next.
FRESH_TEST(LockTest, EverySleeperIsWoken) {
  static struct lock lock;
  static std::atomic<int> announced{0}, done{0};
  const int thread_count = 8;
  lock_acquire(&lock);
  std::vector<std::thread> threads;
  for (int i = 0; i < thread_count; ++i) {
    threads.emplace_back([] {
      ++announced;
      lock_acquire(&lock);
      ++done;
      lock_release(&lock);
    });
  }
  WaitUntil([&] { return announced == thread_count && StateOf(lock) == 2; }, "all threads are about to sleep");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(0, done.load());
  lock_release(&lock);
  WaitUntil([&] { return done == thread_count; }, "every sleeper has had the lock");
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(0u, StateOf(lock));
}

FRESH_TEST(LockTest, ErrnoIsKept) {
  static struct lock lock;
  static std::atomic<int> error_of_waiter{0};
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  ASSERT_EQ(0, sigaction(SIGUSR1, &action, nullptr));
  lock_acquire(&lock);
  std::thread waiter([] {
    errno = ERANGE;
    lock_acquire(&lock);
    error_of_waiter = errno;
    lock_release(&lock);
  });
  WaitUntil([] { return StateOf(lock) == 2; }, "a waiter announces that it sleeps");
  // Each of these ends the sleep with EINTR.
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    pthread_kill(waiter.native_handle(), SIGUSR1);
  }
  EXPECT_EQ(0, error_of_waiter.load()) << "a signal gave the waiter the lock";
  errno = EDOM;
  lock_release(&lock);
  EXPECT_EQ(EDOM, errno);
  waiter.join();
  EXPECT_EQ(ERANGE, error_of_waiter.load());
}

}  // namespace
