// SPDX-License-Identifier: Apache-2.0
//
// Real threads, one of which runs at a time. Within a call of the code under test the others come between only where it
// says so (allocator/base/yield.h) or, in code that is compiled with -fsanitize-coverage=trace-loads,trace-stores, before an
// access to memory; who goes on then is for a policy to say. So an execution depends on the policy alone and can be repeated,
// and a state in which nobody can go on is noticed at once. Layer: schedule; calls nothing of the others. Not instrumented.
// Test: fuzz/schedule/schedule_test.cc.
//
// The interleavings are those of a machine that executes one access after the other, and each hand-over is a synchronisation:
// ThreadSanitizer sees no race in them. For races threads run freely, in tests/unit/stress_test.cc.

#ifndef FUZZ_SCHEDULE_SCHEDULE_H_
#define FUZZ_SCHEDULE_SCHEDULE_H_

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SCHEDULE_THREADS 4
#define SCHEDULE_NONE UINT32_MAX

struct schedule_policy {
  void *context;
  // What each thread does. It begins when it is first chosen.
  void (*body)(void *context, unsigned thread);
  // Of the threads whose bits are set, the one that goes on; SCHEDULE_NONE where none may.
  unsigned (*choose)(void *context, uint32_t candidates);
  // A thread has come to where schedule_stop_after said. Who goes on is asked next.
  void (*stopped)(void *context, unsigned thread);
  // A lock was released that nobody held; NULL: nobody is told.
  void (*released_unheld)(void *context);
  // Nobody can go on, or it goes on without an end. Does not return.
  void (*stuck)(void *context, const char *why);
  // By a thread that forks, while the locks of all who have fork handlers are held; NULL: nothing is done there.
  void (*in_fork_handler)(void *context);
};

// Runs the threads whose bits are set, until each has returned from its body. Returns a number that stands for the execution:
// who went on, and after how many points and accesses. The policy is kept: it also hears of the caller when it is stuck.
uint64_t schedule_run(const struct schedule_policy *policy, uint32_t threads);

// By a thread that runs. Between these two it can be stopped; errno is kept.
void schedule_call_begin(void);
void schedule_call_end(void);
// Stops at the so many-th point from here, or so many accesses after it. 0 points: nowhere.
void schedule_stop_after(uint32_t points, uint32_t accesses);
// Asks who goes on, outside of a call.
void schedule_switch(void);
// The other threads that are within a call, as bits; in a child of a fork, those that were.
uint32_t schedule_others_in_call(void);
// fork(), within a call while its handlers wait for others. The child has no other thread, and no scheduler. The parent does
// not go on, not even with its handlers, before the child has ended: AFL++ has both count coverage in the same memory. Where
// that takes more than so many seconds, *hangs is true.
pid_t schedule_fork(int seconds, bool *hangs);

#ifdef __cplusplus
}
#endif

#endif  // FUZZ_SCHEDULE_SCHEDULE_H_
