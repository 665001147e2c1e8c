// SPDX-License-Identifier: Apache-2.0
//
// fork_storm FORKS: forks that many times while other threads allocate and free; each child allocates, frees what it inherited,
// makes threads and exits. Then the threads fork themselves, at the same time. A child that hangs (on a lock that a thread held
// which is not there any more) is ended by its alarm clock, which counts as a failure.

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "check.h"

#define WORKERS 3
#define SLOTS 50
#define CHILD_SECONDS 20

static volatile int stopping;
static int forks_wanted;

// Blocks that worker 0 keeps replacing; a child may free whatever it finds there, as the pointers are swapped atomically.
static void *shared_blocks[64];

struct slots {
  void *pointer[SLOTS];
  size_t size[SLOTS];
};

static void churn(struct slots *slots, uint64_t *state, int steps) {
  for (int step = 0; step < steps; step++) {
    unsigned slot = next_random(state) % SLOTS;
    if (slots->pointer[slot]) free_block(slots->pointer[slot], slots->size[slot]);
    unsigned kind = next_random(state) % 100;
    slots->size[slot] = 1 + next_random(state) % (kind < 95 ? 400 : kind < 99 ? 8000 : 200000);
    slots->pointer[slot] = allocate_block(slots->size[slot]);
  }
}

static void release(struct slots *slots) {
  for (int slot = 0; slot < SLOTS; slot++)
    if (slots->pointer[slot]) free_block(slots->pointer[slot], slots->size[slot]);
}

static void *work(void *number) {
  struct slots slots = {0};
  uint64_t state = 100 + (uintptr_t)number;
  while (!stopping) {
    churn(&slots, &state, 100);
    for (size_t i = (uintptr_t)number; i < 64; i += WORKERS)
      free(__atomic_exchange_n(&shared_blocks[i], allocate_block(64), __ATOMIC_ACQ_REL));
    // Leaves the processors to the children now and then.
    usleep(100);
  }
  release(&slots);
  return NULL;
}

static void *work_in_child(void *number) {
  struct slots slots = {0};
  uint64_t state = 200 + (uintptr_t)number;
  churn(&slots, &state, 100);
  release(&slots);
  return NULL;
}

static void child(int number, struct slots *inherited) {
  alarm(CHILD_SECONDS);
  uint64_t state = (uint64_t)number;
  // What the parent allocated is ours too, also what threads that are not here allocated.
  release(inherited);
  for (int i = 0; i < 64; i++) free(__atomic_exchange_n(&shared_blocks[i], NULL, __ATOMIC_ACQ_REL));
  struct slots slots = {0};
  churn(&slots, &state, 100);
  if (number % 8 == 0) {
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, work_in_child, (void *)i) == 0);
    for (size_t i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  }
  if (number % 16 == 0) {
    pid_t grandchild = fork();
    CHECK(grandchild >= 0);
    if (grandchild == 0) {
      alarm(CHILD_SECONDS);
      churn(&slots, &state, 200);
      exit(7);
    }
    int status;
    CHECK(waitpid(grandchild, &status, 0) == grandchild && WIFEXITED(status) && WEXITSTATUS(status) == 7);
  }
  release(&slots);
  if (number % 2) exit(5);
  _exit(5);
}

static void fork_times(int forks, struct slots *slots, uint64_t *state) {
  for (int number = 0; number < forks; number++) {
    churn(slots, state, 20);
    pid_t process = fork();
    CHECK(process >= 0);
    if (process == 0) child(number, slots);
    int status;
    CHECK(waitpid(process, &status, 0) == process);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 5) {
      fprintf(stderr, "child %d of %d ended with wait status 0x%x%s\n", number, forks, (unsigned)status,
              WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? " (it hung)" : "");
      _exit(1);
    }
  }
}

static void *fork_in_thread(void *number) {
  struct slots slots = {0};
  uint64_t state = 300 + (uintptr_t)number;
  fork_times(forks_wanted / 10, &slots, &state);
  release(&slots);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s FORKS\n", argv[0]);
    return 2;
  }
  forks_wanted = atoi(argv[1]);
  CHECK(forks_wanted >= 10);
  pthread_t workers[WORKERS], forkers[2];
  for (size_t i = 0; i < WORKERS; i++) CHECK(pthread_create(&workers[i], NULL, work, (void *)i) == 0);
  struct slots slots = {0};
  uint64_t state = 1;
  fork_times(forks_wanted, &slots, &state);
  for (size_t i = 0; i < 2; i++) CHECK(pthread_create(&forkers[i], NULL, fork_in_thread, (void *)i) == 0);
  for (size_t i = 0; i < 2; i++) CHECK(pthread_join(forkers[i], NULL) == 0);
  stopping = 1;
  for (size_t i = 0; i < WORKERS; i++) CHECK(pthread_join(workers[i], NULL) == 0);
  release(&slots);
  puts("passed");
  return 0;
}
