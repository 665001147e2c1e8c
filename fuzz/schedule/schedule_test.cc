// SPDX-License-Identifier: Apache-2.0
//
// The scheduler: an execution is what the policy says and nothing else, every thread gets on, and one that cannot is noticed.

#include "fuzz/schedule/schedule.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "allocator/base/yield.h"

namespace {

extern "C" void __sanitizer_cov_load8(const void *address);

// Threads that count, and note who did; a policy of random choices.
class Scheduled {
 public:
  explicit Scheduled(uint64_t seed, uint32_t stop_every = 3) : random_(seed * 2 + 1), stop_every_(stop_every) {}

  uint64_t Run(uint32_t threads) {
    const schedule_policy policy = {this, Body, Choose, Stopped, Released, Stuck, InForkHandler};
    return schedule_run(&policy, threads);
  }

  // What a thread does between its points.
  virtual void Work(unsigned thread) {
    for (int i = 0; i < 20; ++i) {
      schedule_stop_after(1 + i % stop_every_, 0);
      Point(thread);
    }
  }
  virtual void ForkHandler() { ++fork_handlers_; }
  virtual ~Scheduled() = default;

  void Point(unsigned thread) {
    schedule_call_begin();
    yield_point();
    schedule_call_end();
    order_.push_back(thread);
  }

  std::vector<unsigned> order_;
  unsigned stops_ = 0, fork_handlers_ = 0;

 protected:
  static void Body(void *context, unsigned thread) { static_cast<Scheduled *>(context)->Work(thread); }
  static unsigned Choose(void *context, uint32_t candidates) {
    return static_cast<Scheduled *>(context)->ChooseOf(candidates);
  }
  static void Stopped(void *context, unsigned) { ++static_cast<Scheduled *>(context)->stops_; }
  static void Released(void *) { _exit(8); }
  static void InForkHandler(void *context) { static_cast<Scheduled *>(context)->ForkHandler(); }
  static void Stuck(void *, const char *why) {
    fprintf(stderr, "stuck: %s\n", why);
    _exit(7);
  }

  virtual unsigned ChooseOf(uint32_t candidates) {
    for (;;) {
      random_ = random_ * 6364136223846793005u + 1442695040888963407u;
      unsigned thread = (random_ >> 33) % SCHEDULE_THREADS;
      if ((candidates >> thread & 1) != 0) return thread;
    }
  }

  uint64_t random_;
  const uint32_t stop_every_;
};

TEST(Schedule, EveryThreadEnds) {
  for (uint32_t threads = 0; threads < 16; ++threads) {
    Scheduled scheduled(threads);
    scheduled.Run(threads);
    std::vector<int> counts(SCHEDULE_THREADS);
    for (unsigned thread : scheduled.order_) ++counts[thread];
    for (unsigned i = 0; i < SCHEDULE_THREADS; ++i) EXPECT_EQ((threads >> i & 1) != 0 ? 20 : 0, counts[i]);
  }
}

TEST(Schedule, IsThePolicys) {
  size_t different = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Scheduled first(seed), second(seed), other(seed + 1);
    const uint64_t trace = first.Run(15);
    EXPECT_EQ(trace, second.Run(15));
    EXPECT_EQ(first.order_, second.order_);
    EXPECT_GT(first.stops_, 0u);
    const bool other_order = other.Run(15) != trace;
    EXPECT_EQ(other_order, other.order_ != first.order_);
    different += other_order;
  }
  EXPECT_GT(different, 90u);
}

// A thread goes on until it is stopped, and is stopped where it was said.
class InOrder : public Scheduled {
 public:
  InOrder(uint32_t points, uint32_t accesses) : Scheduled(0), points_(points), accesses_(accesses) {}
  unsigned ChooseOf(uint32_t candidates) override {
    const uint32_t others = stops_ == 1 && candidates != 1 ? candidates & ~1u : candidates;
    return static_cast<unsigned>(__builtin_ctz(others));
  }
  void Work(unsigned thread) override {
    if (thread == 0) schedule_stop_after(points_, accesses_);
    uint64_t own = 0;
    schedule_call_begin();
    for (int i = 0; i < 4; ++i) {
      yield_point();
      order_.push_back(thread);
      __sanitizer_cov_load8(&own);
      __sanitizer_cov_load8(&shared_);
      order_.push_back(thread + 10);
    }
    schedule_call_end();
  }

 private:
  const uint32_t points_, accesses_;
  uint64_t shared_ = 0;
};

TEST(Schedule, StopsAtThePoint) {
  InOrder in_order(2, 0);
  in_order.Run(3);
  const std::vector<unsigned> wanted = {0, 10, 1, 11, 1, 11, 1, 11, 1, 11, 0, 10, 0, 10, 0, 10};
  EXPECT_EQ(wanted, in_order.order_);
}

TEST(Schedule, StopsAtTheAccess) {
  InOrder in_order(2, 1);
  in_order.Run(3);
  const std::vector<unsigned> wanted = {0, 10, 0, 1, 11, 1, 11, 1, 11, 1, 11, 10, 0, 10, 0, 10};
  EXPECT_EQ(wanted, in_order.order_);
}

// Locks as those of the allocator, taken in the same order or in opposite ones.
class Locking : public Scheduled {
 public:
  Locking(uint64_t seed, bool opposite) : Scheduled(seed), opposite_(opposite) {}
  void Work(unsigned thread) override {
    for (int i = 0; i < 10; ++i) {
      const unsigned first = opposite_ && thread % 2 != 0 ? 1 : 0;
      schedule_stop_after(1 + (i + thread) % 4, 0);
      schedule_call_begin();
      Acquire(first);
      Acquire(1 - first);
      EXPECT_EQ(0u, inside_++);
      yield_point();
      --inside_;
      Release(1 - first);
      Release(first);
      schedule_call_end();
      order_.push_back(thread);
    }
  }

 private:
  void Acquire(unsigned lock) {
    yield_point();
    uint32_t free = 0;
    if (__atomic_compare_exchange_n(&locks_[lock], &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
    while (__atomic_exchange_n(&locks_[lock], 2, __ATOMIC_ACQUIRE) != 0) yield_wait(&locks_[lock], 2);
  }
  void Release(unsigned lock) {
    if (__atomic_exchange_n(&locks_[lock], 0, __ATOMIC_RELEASE) == 2) yield_wake(&locks_[lock]);
    yield_point();
  }

  const bool opposite_;
  unsigned inside_ = 0;
  uint32_t locks_[2] = {0, 0};
};

TEST(Schedule, WaitsForLocks) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Locking first(seed, false), second(seed, false);
    EXPECT_EQ(first.Run(15), second.Run(15));
    EXPECT_EQ(40u, first.order_.size());
  }
}

TEST(Schedule, NoticesADeadlock) {
  EXPECT_EXIT(for (uint64_t seed = 0; seed < 200; ++seed) Locking(seed, true).Run(3), testing::ExitedWithCode(7),
              "stuck: no thread can go on");
}

TEST(Schedule, NoticesALockThatNobodyReleases) {
  EXPECT_EXIT(
      {
        Scheduled(0).Run(1);
        uint32_t lock = 2;
        yield_wait(&lock, 2);
      },
      testing::ExitedWithCode(7), "stuck: a lock is held");
}

class Releasing : public Scheduled {
 public:
  explicit Releasing(uint32_t state) : Scheduled(0), state_(state) {}
  void Work(unsigned) override { yield_released(state_); }

 private:
  const uint32_t state_;
};

TEST(Schedule, NoticesTheReleaseOfALockThatNobodyHolds) {
  Releasing(1).Run(3);
  Releasing(2).Run(3);
  EXPECT_EXIT(Releasing(0).Run(1), testing::ExitedWithCode(8), "");
}

class Endless : public Scheduled {
 public:
  using Scheduled::Scheduled;
  void Work(unsigned thread) override {
    for (;;) {
      schedule_call_begin();
      yield_point();
      schedule_call_end();
      (void)thread;
    }
  }
};

TEST(Schedule, NoticesAnEndlessExecution) {
  EXPECT_EXIT(Endless(0).Run(1), testing::ExitedWithCode(7), "stuck: the threads go on without an end");
}

class Reading : public Scheduled {
 public:
  Reading(uint64_t calls, uint64_t each) : Scheduled(0), calls_(calls), each_(each) {}
  void Work(unsigned) override {
    for (uint64_t call = 0; call < calls_; ++call) {
      schedule_call_begin();
      for (uint64_t i = 0; i < each_; ++i) __sanitizer_cov_load8(this);
      schedule_call_end();
    }
  }

 private:
  const uint64_t calls_, each_;
};

TEST(Schedule, NoticesAnEndlessCall) {
  EXPECT_EXIT(Reading(1, UINT64_MAX).Run(1), testing::ExitedWithCode(7), "stuck: a call goes on without an end");
}

TEST(Schedule, CallsTogetherAccessMoreThanOneMay) { Reading(3, uint64_t{1} << 26).Run(1); }

class Handling : public Scheduled {
 public:
  explicit Handling(bool waits) : Scheduled(0), waits_(waits) {}
  void Work(unsigned) override {
    bool hangs;
    schedule_fork(10, &hangs);
  }
  void ForkHandler() override {
    const uint32_t lock = 2;
    if (waits_) yield_wait(&lock, 2);
    for (;;) __sanitizer_cov_load8(this);
  }

 private:
  const bool waits_;
};

TEST(Schedule, NoticesAForkHandlerThatWaitsOrHasNoEnd) {
  EXPECT_EXIT(Handling(true).Run(3), testing::ExitedWithCode(7), "stuck: a fork handler waits");
  EXPECT_EXIT(Handling(false).Run(3), testing::ExitedWithCode(7), "stuck: a call goes on without an end");
}

class Forking : public Scheduled {
 public:
  using Scheduled::Scheduled;
  void Work(unsigned thread) override {
    schedule_call_begin();
    if (thread == 0) {
      schedule_call_end();
      const pid_t child = schedule_fork(child_hangs_ ? 1 : 10, &hangs_);
      if (child == 0) {
        while (child_hangs_) pause();
        _exit(schedule_others_in_call() == 2 ? 3 : 4);
      }
      if (hangs_) kill(child, SIGKILL);
      int status;
      waitpid(child, &status, 0);
      status_ = status;
      return;
    }
    schedule_stop_after(1, 0);
    yield_point();
    schedule_call_end();
  }
  unsigned ChooseOf(uint32_t candidates) override {
    return stops_ == 0 && (candidates & 2) != 0 ? 1 : static_cast<unsigned>(__builtin_ctz(candidates));
  }
  int status_ = -1;
  bool hangs_ = true, child_hangs_ = false;
};

TEST(Schedule, ForksWhileOthersAreStopped) {
  Forking forking(0);
  forking.Run(3);
  EXPECT_FALSE(forking.hangs_);
  EXPECT_EQ(1u, forking.fork_handlers_);
  ASSERT_TRUE(WIFEXITED(forking.status_));
  EXPECT_EQ(3, WEXITSTATUS(forking.status_));
  // The pool still serves the parent.
  Scheduled(1).Run(15);
}

TEST(Schedule, NoticesAChildThatHangs) {
  Forking forking(0);
  forking.child_hangs_ = true;
  forking.Run(3);
  EXPECT_TRUE(forking.hangs_);
  EXPECT_TRUE(WIFSIGNALED(forking.status_));
}

}  // namespace
