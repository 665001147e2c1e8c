// SPDX-License-Identifier: Apache-2.0
//
// Runs under `ulimit -v 200000`: allocates until malloc returns NULL with ENOMEM, frees, and does so again with
// other sizes and functions and with several threads at once. Nothing may crash, and what was freed must be usable
// again at any size.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>

#include "check.h"

// Of the 195 MiB, how many one thread must be able to use at each size: some go to the program, stacks and the
// allocator itself.
#define AT_LEAST ((size_t)120 << 20)
#define THREADS 4

struct link {
  struct link *next;
  size_t size;
};

enum method { METHOD_MALLOC, METHOD_CALLOC, METHOD_REALLOC, METHOD_ALIGNED, METHODS };

static void *allocate(enum method method, size_t size) {
  errno = 0;
  switch (method) {
    case METHOD_MALLOC:
      return malloc(size);
    case METHOD_CALLOC:
      return calloc((size + 15) / 16, 16);
    case METHOD_REALLOC: {
      void *small = malloc(size / 2);
      if (!small) return NULL;
      ((char *)small)[0] = 77;
      void *larger = realloc(small, size);
      if (larger) {
        CHECK(((char *)larger)[0] == 77);
      } else {
        // realloc that fails leaves the block as it was.
        CHECK(errno == ENOMEM && ((char *)small)[0] == 77);
        free(small);
        errno = ENOMEM;
      }
      return larger;
    }
    default: {
      void *pointer = NULL;
      int error = posix_memalign(&pointer, 64, size);
      errno = error;
      CHECK(!error || !pointer);
      return pointer;
    }
  }
}

// Allocates blocks of one size until there is no more; frees them all; returns how many bytes there were.
static size_t exhaust(enum method method, size_t size) {
  struct link *list = NULL;
  size_t bytes = 0;
  for (;;) {
    struct link *block = allocate(method, size);
    if (!block) break;
    // Written at both ends; the pages between cost nothing but address space.
    ((volatile char *)block)[size - 1] = 1;
    block->next = list;
    block->size = size;
    list = block;
    bytes += size;
    CHECK(bytes < (size_t)4 << 30);
  }
  CHECK(errno == ENOMEM);
  // Once more, and also for a size that may still fit.
  free(malloc(16));
  while (list) {
    struct link *next = list->next;
    CHECK(list->size == size);
    free(list);
    list = next;
  }
  return bytes;
}

// Threads begin when all of them exist: the first would leave no room for the others' stacks.
static pthread_barrier_t begin;

static void *exhaust_in_thread(void *number) {
  static const size_t sizes[] = {48, 1000, 20000, 300000, 3000000};
  size_t total = 0;
  int waited = pthread_barrier_wait(&begin);
  CHECK(waited == 0 || waited == PTHREAD_BARRIER_SERIAL_THREAD);
  // Threads share what there is, in no particular way; one that got nothing waits for the others.
  for (int round = 0; total == 0 && round < 1000; round++) {
    if (round > 0) usleep(1000);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
      total += exhaust(METHOD_MALLOC, sizes[(i + (size_t)number) % (sizeof sizes / sizeof sizes[0])]);
  }
  CHECK(total > 0);
  return NULL;
}

// At checks level 2 each block has a record besides.
static size_t record_bytes(void) {
  const char *(*info)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "hak_build_info");
  return info != NULL && strstr(info(), " checks=2") != NULL ? 32 : 0;
}

int main(void) {
  struct rlimit limit;
  CHECK(getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur == (rlim_t)200000 * 1024);
  static const size_t sizes[] = {16, 100, 1024, 5000, 33000, 100000, 1000000, 10000000, 64, 63000000, 32};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    for (int method = 0; method < METHODS; method++) {
      // Small blocks touch every page, which takes time: two functions will do.
      if (sizes[i] < 1000 && method != METHOD_MALLOC && method != METHOD_ALIGNED) continue;
      size_t bytes = exhaust((enum method)method, sizes[i]);
      // A block may cost a header and its class's rounding besides its bytes; one that is aligned to 64, that much
      // more.
      size_t cost = sizes[i] + (method == METHOD_ALIGNED ? 160 : 32) + record_bytes();
      // Address space comes in slabs of 64 KiB; what a block does not touch of its slab takes no memory.
      if (sizes[i] > 32768 && sizes[i] < 65536) cost = 65536;
      size_t least = AT_LEAST / cost * sizes[i];
      // Here the old block and the new one are there at once; and large blocks need large gaps.
      if (method == METHOD_REALLOC || sizes[i] > 10000000) least /= 2;
      fprintf(stderr, "size %zu, method %d: %zu KiB\n", sizes[i], method, bytes >> 10);
      CHECK(bytes >= least);
    }
  }

  // Impossible sizes.
  volatile size_t huge = PTRDIFF_MAX;
  for (int i = 0; i < 3; i++) {
    errno = 0;
    CHECK(!malloc(huge + (size_t)i) && errno == ENOMEM);
    errno = 0;
    CHECK(!calloc(huge, 16) && errno == ENOMEM);
  }

  // Threads' stacks take from the same limit. What was freed may still be mapped; trimming gives the address space
  // back.
  malloc_trim(0);
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 256 << 10) == 0);
  CHECK(pthread_barrier_init(&begin, NULL, THREADS) == 0);
  for (int round = 0; round < 3; round++) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
      CHECK(pthread_create(&threads[i], &attributes, exhaust_in_thread, (void *)i) == 0);
    for (size_t i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  }
  // And after all that nearly everything is there again.
  size_t small = exhaust(METHOD_MALLOC, 256), large = exhaust(METHOD_MALLOC, 4000000);
  fprintf(stderr, "after the threads: %zu KiB of 256, %zu KiB of 4000000\n", small >> 10, large >> 10);
  CHECK(small >= AT_LEAST / 2 && large >= AT_LEAST / 2);
  puts("passed");
  return 0;
}
