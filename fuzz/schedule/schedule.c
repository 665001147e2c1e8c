// SPDX-License-Identifier: Apache-2.0
//
// The baton: one word per thread, on which it sleeps until it is its turn. The threads are made when they are first needed and
// then kept: to make one takes longer than many an input. Layer: schedule. Not instrumented.

#define _GNU_SOURCE
#include "fuzz/schedule/schedule.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "allocator/base/yield.h"

// The thread that called schedule_run.
#define CALLER SCHEDULE_THREADS
#define STACK_BYTES ((size_t)1 << 20)
// An execution with more points than this has no end, nor has a call with more accesses.
#define POINTS_MAX ((uint64_t)1 << 25)
#define CALL_ACCESSES_MAX ((uint64_t)1 << 27)

enum thread_state { ENDED, READY, WAITING };

// What is looked at in each point and each access, of the thread that runs.
struct progress {
  bool in_call;
  uint32_t points_left;    // to where it stops; 0: nowhere
  uint32_t accesses_then;  // after these points
  uint32_t accesses_left;
  uint64_t call_accesses;
  uintptr_t stack;  // where the call began
};

static struct progress now;

static struct {
  struct schedule_policy policy;
  bool running;
  unsigned current;
  uint64_t points, accesses, waits;
  uint64_t trace;
  bool forking, forking_in_call, in_fork_handler, child_hangs;
  int child_ends[2];  // a pipe, which the child holds open
  int child_seconds;
  uint32_t others_at_fork;  // in a child
  pid_t pool_of;            // the process that has the threads
  struct thread {
    uint32_t turn;
    enum thread_state state;
    const uint32_t *word;  // it waits for
    uint64_t wait;         // who waits longest is woken first
    struct progress progress;
  } threads[SCHEDULE_THREADS + 1];
} schedule;

// ---- The baton ------------------------------------------------------------------------------------------------------

static void give_turn(unsigned thread) {
  uint32_t *turn = &schedule.threads[thread].turn;
  __atomic_store_n(turn, 1, __ATOMIC_RELEASE);
  syscall(SYS_futex, turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void await_turn(unsigned thread) {
  uint32_t *turn = &schedule.threads[thread].turn;
  while (__atomic_exchange_n(turn, 0, __ATOMIC_ACQUIRE) == 0) {
    syscall(SYS_futex, turn, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
  }
}

static void pass_on(void);

static void *live(void *argument) {
  unsigned thread = (unsigned)(uintptr_t)argument;
  for (;;) {
    await_turn(thread);
    now = (struct progress){0};
    schedule.policy.body(schedule.policy.context, thread);
    now = (struct progress){0};
    schedule.threads[thread].state = ENDED;
    pass_on();
  }
  return NULL;
}

// Signals that are sent to the process are the engine's, for the thread that called it.
static void make_threads(void) {
  sigset_t blocked, before;
  pthread_attr_t attributes;
  static const int of_a_thread[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
  sigfillset(&blocked);
  for (size_t i = 0; i < sizeof of_a_thread / sizeof of_a_thread[0]; i++) sigdelset(&blocked, of_a_thread[i]);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
    pthread_t thread;
    schedule.threads[i].turn = 0;
    if (pthread_create(&thread, &attributes, live, (void *)(uintptr_t)i) != 0) {
      fprintf(stderr, "fuzz: no thread can be made\n");
      exit(1);
    }
  }
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  schedule.pool_of = getpid();
}

// ---- Who goes on ----------------------------------------------------------------------------------------------------

static void stuck(const char *why) {
  now.in_call = false;
  if (schedule.policy.stuck != NULL) schedule.policy.stuck(schedule.policy.context, why);
  fprintf(stderr, "fuzz: %s\n", why);
  abort();
}

static void note(uint64_t word) {
  schedule.trace = (schedule.trace ^ word) * 0x9E3779B97F4A7C15u;
  schedule.trace ^= schedule.trace >> 29;
}

static unsigned choose(void) {
  uint32_t candidates = 0;
  bool any = false;
  for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
    any |= schedule.threads[i].state != ENDED;
    if (schedule.threads[i].state == READY) candidates |= 1u << i;
  }
  if (!any) return CALLER;
  unsigned next = candidates == 0 ? SCHEDULE_NONE : schedule.policy.choose(schedule.policy.context, candidates);
  if (next == SCHEDULE_NONE) stuck("no thread can go on: each waits for a lock, or for one that does");
  return next;
}

static void hand_over(unsigned next) {
  note(schedule.points << 3 ^ schedule.accesses << 35 ^ next);
  schedule.current = next;
  give_turn(next);
}

// After the last thing a thread does.
static void pass_on(void) { hand_over(choose()); }

static void reschedule(void) {
  unsigned self = schedule.current;
  int error = errno;
  unsigned next = choose();
  if (next != self) {
    schedule.threads[self].progress = now;
    hand_over(next);
    await_turn(self);
    now = schedule.threads[self].progress;
  }
  errno = error;
}

uint64_t schedule_run(const struct schedule_policy *policy, uint32_t threads) {
  schedule.policy = *policy;
  if (schedule.pool_of != getpid()) make_threads();
  schedule.points = schedule.accesses = schedule.waits = schedule.trace = 0;
  for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
    schedule.threads[i].state = (threads >> i & 1) != 0 ? READY : ENDED;
    schedule.threads[i].progress = (struct progress){0};
  }
  unsigned first = choose();
  if (first != CALLER) {
    schedule.running = true;
    hand_over(first);
    await_turn(CALLER);
    schedule.running = false;
  }
  note(schedule.points);
  note(schedule.accesses);
  return schedule.trace;
}

void schedule_switch(void) {
  if (schedule.running) reschedule();
}

uint32_t schedule_others_in_call(void) {
  uint32_t others = schedule.others_at_fork;
  for (unsigned i = 0; schedule.running && i < SCHEDULE_THREADS; i++) {
    const struct thread *thread = &schedule.threads[i];
    if (i != schedule.current && thread->state != ENDED && thread->progress.in_call) others |= 1u << i;
  }
  return others;
}

// ---- Where a thread can be stopped ----------------------------------------------------------------------------------

void schedule_call_begin(void) {
  now.stack = (uintptr_t)__builtin_frame_address(0);
  now.call_accesses = 0;
  now.in_call = schedule.running;
}

void schedule_call_end(void) { now.in_call = false; }

void schedule_stop_after(uint32_t points, uint32_t accesses) {
  now.points_left = points;
  now.accesses_then = accesses;
  now.accesses_left = 0;
}

static void stop(void) {
  schedule.policy.stopped(schedule.policy.context, schedule.current);
  reschedule();
}

void yield_point(void) {
  if (!now.in_call) return;
  if (++schedule.points == POINTS_MAX) stuck("the threads go on without an end");
  if (now.points_left == 0 || --now.points_left != 0) return;
  if (now.accesses_then != 0) {
    now.accesses_left = now.accesses_then;
  } else {
    stop();
  }
}

// What lies on the thread's stack is nobody else's.
static void access_memory(const void *address) {
  if (!now.in_call) return;
  schedule.accesses++;
  if (++now.call_accesses == CALL_ACCESSES_MAX) stuck("a call goes on without an end");
  if (now.accesses_left == 0) return;
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  if ((uintptr_t)address - here < now.stack - here) return;
  if (--now.accesses_left == 0) stop();
}

#define ACCESS(name)                                \
  void __sanitizer_cov_##name(const void *address); \
  void __sanitizer_cov_##name(const void *address) { access_memory(address); }
ACCESS(load1)
ACCESS(load2)
ACCESS(load4)
ACCESS(load8)
ACCESS(load16)
ACCESS(store1)
ACCESS(store2)
ACCESS(store4)
ACCESS(store8)
ACCESS(store16)

void yield_wait(const uint32_t *word, uint32_t expected) {
  if (!schedule.running) stuck("a lock is held, and there is nobody who would release it");
  if (__atomic_load_n(word, __ATOMIC_RELAXED) != expected) return;
  // The C library's locks are held too, and what others reported would wait for them.
  if (schedule.in_fork_handler) stuck("a fork handler waits for a lock that its own thread holds");
  struct thread *self = &schedule.threads[schedule.current];
  self->state = WAITING;
  self->word = word;
  self->wait = ++schedule.waits;
  reschedule();
}

void yield_wake(const uint32_t *word) {
  struct thread *longest = NULL;
  for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
    struct thread *thread = &schedule.threads[i];
    if (thread->state != WAITING || thread->word != word) continue;
    if (longest == NULL || thread->wait < longest->wait) longest = thread;
  }
  if (longest == NULL || !schedule.running) return;
  longest->state = READY;
  reschedule();
}

void yield_released(uint32_t state) {
  if (state != 0 || !schedule.running || schedule.policy.released_unheld == NULL) return;
  struct progress was = now;
  now.in_call = false;
  schedule.policy.released_unheld(schedule.policy.context);
  now = was;
}

// ---- fork -----------------------------------------------------------------------------------------------------------

// Handlers are called in the order in which they were registered, before the fork in the reverse order. These come first: in
// what they enclose only the locks that all other handlers took are held.
static bool is_ours(void) { return schedule.forking && !schedule.in_fork_handler; }

static void before_fork(void) {
  if (!is_ours()) return;
  schedule.forking_in_call = now.in_call;
  // It is one call, which nobody comes between. An engine that reports a crash in there forks too.
  struct progress was = now;
  now.points_left = now.accesses_left = 0;
  schedule.in_fork_handler = true;
  if (schedule.policy.in_fork_handler != NULL) schedule.policy.in_fork_handler(schedule.policy.context);
  schedule.in_fork_handler = false;
  now = was;
  now.in_call = false;
}

static void after_fork_in_parent(void) {
  if (!is_ours()) return;
  struct pollfd ended = {.fd = schedule.child_ends[0], .events = POLLIN};
  int result;
  close(schedule.child_ends[1]);
  do {
    result = poll(&ended, 1, schedule.child_seconds * 1000);
  } while (result < 0 && errno == EINTR);
  schedule.child_hangs = result == 0;
  close(schedule.child_ends[0]);
  now.in_call = schedule.forking_in_call;
}

static void after_fork_in_child(void) {
  if (!is_ours()) return;
  schedule.others_at_fork = schedule_others_in_call();
  schedule.running = false;
  now = (struct progress){0};
}

__attribute__((constructor(100))) static void register_handlers(void) {
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

pid_t schedule_fork(int seconds, bool *hangs) {
  if (pipe2(schedule.child_ends, O_CLOEXEC) != 0) return -1;
  schedule.child_seconds = seconds;
  schedule.forking = true;
  schedule_call_begin();
  pid_t child = fork();
  schedule_call_end();
  schedule.forking = false;
  *hangs = schedule.child_hangs;
  return child;
}
