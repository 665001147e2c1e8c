// SPDX-License-Identifier: Apache-2.0

#define THREADS 4

#include <pthread.h>
#include <string.h>

#include "tests/death/misuse.h"

static void *shared[64];

static void *exchange(void *argument) {
  uint64_t random = (uintptr_t)argument;
  for (int i = 0; i < 20000; i++) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    size_t size = (random >> 33) % (i % 100 == 0 ? 200000 : 2000);
    char *block = hak_malloc(size);
    memset(block, 'z', size);
    hak_free(__atomic_exchange_n(&shared[random >> 58], block, __ATOMIC_ACQ_REL));
  }
  return NULL;
}

CONTROL(control_threads, "threads that exchange blocks") {
  pthread_t threads[THREADS];
  for (uintptr_t i = 0; i < THREADS; i++) EXPECT(pthread_create(&threads[i], NULL, exchange, at(i + 1)) == 0);
  for (int i = 0; i < THREADS; i++) EXPECT(pthread_join(threads[i], NULL) == 0);
  for (int i = 0; i < 64; i++) hak_free(shared[i]);
  hak_trim(0);
  EXPECT(hak_check_heap(NULL) == 0);
}
