// SPDX-License-Identifier: Apache-2.0

#define ROUNDS 20000

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "tests/death/misuse.h"

static void *volatile shared;
static int begun, ended, reports;

static void count_report(const struct hak_misuse *misuse) {
  if (misuse->kind == HAK_MISUSE_DOUBLE_FREE) __atomic_fetch_add(&reports, 1, __ATOMIC_RELAXED);
}

// At first without giving up the processor: the threads are to meet.
static void wait_for(const int *round, int number) {
  for (int turns = 0; __atomic_load_n(round, __ATOMIC_ACQUIRE) < number; turns++) {
    if (turns > 1000) sched_yield();
  }
}

static void *free_shared(void *unused) {
  for (int i = 1; i <= ROUNDS; i++) {
    wait_for(&begun, i);
    hak_free(shared);
    __atomic_store_n(&ended, i, __ATOMIC_RELEASE);
  }
  return unused;
}

// One free in each round is one too many. The report comes only if each of them was counted.
MISUSE(double_free_by_two_threads, "freed by two threads at the same time") {
  pthread_t thread;
  // The other levels do not find it each time.
  if (strstr(hak_build_info(), "checks=2") == NULL) return;
  hak_set_misuse_handler(count_report);
  EXPECT(pthread_create(&thread, NULL, free_shared, NULL) == 0);
  for (int i = 1; i <= ROUNDS; i++) {
    shared = new_block(100);
    __atomic_store_n(&begun, i, __ATOMIC_RELEASE);
    for (volatile int pause = i % 200; pause > 0; pause--) continue;
    hak_free(shared);
    wait_for(&ended, i);
  }
  EXPECT(pthread_join(thread, NULL) == 0);
  hak_set_misuse_handler(NULL);
  if (reports == ROUNDS) hak_free(shared);
}
