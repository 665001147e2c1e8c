// SPDX-License-Identifier: Apache-2.0
//
// What memcheck_test.py runs under Valgrind: one thing that is wrong with memory, or much that is right, as the first argument
// says; the second is the size of the block. With USE_MALLOC by the standard names, otherwise by hakmem's own.

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hakmem/hakmem.h"

#ifdef USE_MALLOC
#define ALLOCATE malloc
#define ALLOCATE_ZEROED calloc
#define ALLOCATE_ALIGNED aligned_alloc
#define RESIZE realloc
#define FREE free
#else
#define ALLOCATE hak_malloc
#define ALLOCATE_ZEROED hak_calloc
#define ALLOCATE_ALIGNED hak_aligned_alloc
#define RESIZE hak_realloc
#define FREE hak_free
#endif

static volatile int sink;

static void *have(void *block) {
  if (block != NULL) return block;
  puts("no memory");
  exit(2);
}

static volatile char *written(size_t size) {
  char *block = have(ALLOCATE(size));
  memset(block, 1, size);
  return block;
}

static void expect(int condition, const char *what) {
  if (condition) return;
  puts(what);
  exit(3);
}

// ---- What is wrong --------------------------------------------------------------------------------------------------

static void read_behind(size_t size) {
  volatile char *block = written(size);
  sink = block[size];
  FREE((void *)block);
}

static void read_before(size_t size) {
  volatile char *block = written(size);
  sink = block[-1];
  FREE((void *)block);
}

// The block stays as it is: the Box would find it too when it is freed.
static void write_behind(size_t size) {
  static volatile char *block;
  block = written(size);
  block[size] = 0;
}

static void read_freed(size_t size) {
  volatile char *block = written(size);
  FREE((void *)block);
  sink = block[0];
}

static void read_freed_by_realloc(size_t size) {
  volatile char *block = written(size);
  char *moved = have(RESIZE((void *)block, 4 * size + 100));
  if (moved == (char *)block) puts("it did not move");
  sink = block[size - 1];
  FREE(moved);
}

static void write_freed(size_t size) {
  volatile char *block = written(size);
  FREE((void *)block);
  block[size - 1] = 0;
}

static void use_uninitialised(size_t size) {
  volatile char *block = have(ALLOCATE(size));
  if (block[size / 2] == 1) sink = 1;
  FREE((void *)block);
}

// Also where another block was before.
static void use_uninitialised_again(size_t size) {
  FREE((void *)written(size));
  hak_trim(0);
  use_uninitialised(size);
}

static void use_uninitialised_after_growth(size_t size) {
  volatile char *block = have(RESIZE((void *)written(size), size + size / 4 + 1));
  for (size_t i = 0; i < size; i++) expect(block[i] == 1, "realloc lost bytes");
  if (block[size] == 1) sink = 1;
  FREE((void *)block);
}

static void read_behind_shrunk(size_t size) {
  size_t less = size - size / 4 - 1;
  volatile char *block = have(RESIZE((void *)written(size), less));
  for (size_t i = 0; i < less; i++) expect(block[i] == 1, "realloc lost bytes");
  sink = block[less];
  FREE((void *)block);
}

static void leak(size_t size) {
  sink = written(size)[0];
  for (int i = 0; i < 10; i++) FREE((void *)written(size));
}

// ---- What is right --------------------------------------------------------------------------------------------------

static void right_zeroed(size_t size) {
  for (int i = 0; i < 3; i++) {
    volatile char *block = have(ALLOCATE_ZEROED(1, size));
    for (size_t j = 0; j < size; j++) expect(block[j] == 0, "calloc gave what is not zero");
    memset((void *)block, 1, size);
    FREE((void *)block);
    if (i == 1) hak_trim(0);
  }
}

static void right_resized(size_t size) {
  volatile char *block = written(size);
  size_t now = size;
  for (int i = 0; i < 12; i++) {
    size_t wanted = i % 3 == 2 ? now / 2 + 1 : now + now / 3 + 1;
    block = have(RESIZE((void *)block, wanted));
    for (size_t j = 0; j < (wanted < now ? wanted : now); j++) expect(block[j] == 1, "realloc lost bytes");
    memset((void *)block, 1, wanted);
    now = wanted;
    // In the way of growth.
    if (i % 4 == 0) FREE((void *)written(size));
  }
  FREE((void *)block);
}

// Grown where another block is in the way.
static volatile char *moved(char *block, size_t size) {
  void *other = (void *)written(size);
  volatile char *where = have(RESIZE(block, 3 * size));
  expect(where != block, "it did not move");
  FREE(other);
  return where;
}

static void right_moved(size_t size) {
  volatile char *block = moved((char *)written(size), size);
  for (size_t i = 0; i < size; i++) expect(block[i] == 1, "realloc lost bytes");
  FREE((void *)block);
}

static void use_uninitialised_after_move(size_t size) {
  char *block = have(ALLOCATE(size));
  memset(block, 1, size - 1);
  volatile char *where = moved(block, size);
  for (size_t i = 0; i < size - 1; i++) expect(where[i] == 1, "realloc lost bytes");
  if (where[size - 1] == 1) sink = 1;
  FREE((void *)where);
}

static void mixed(unsigned seed) {
  enum { BLOCKS = 200, STEPS = 1500 };
  unsigned char *blocks[BLOCKS] = {NULL};
  size_t sizes[BLOCKS] = {0};
  for (int i = 0; i < STEPS; i++) {
    seed = seed * 1664525 + 1013904223;
    unsigned which = (seed >> 8) % BLOCKS;
    size_t size = (seed >> 16) % 50 == 0 ? (seed >> 4) % 3000000 : (seed >> 4) % 3000;
    if (blocks[which] == NULL) {
      size_t aligned = (size + 63) & ~(size_t)63;
      blocks[which] = have(i % 5 == 0 ? ALLOCATE_ALIGNED(64, aligned) : ALLOCATE(size));
    } else if (i % 3 == 0) {
      expect(sizes[which] == 0 || blocks[which][0] == which, "a block lost its contents");
      blocks[which] = have(RESIZE(blocks[which], size + 1));
    } else {
      expect(sizes[which] == 0 || blocks[which][sizes[which] - 1] == which, "a block lost its contents");
      FREE(blocks[which]);
      blocks[which] = NULL;
      continue;
    }
    sizes[which] = size;
    memset(blocks[which], (int)which, size);
  }
  for (int i = 0; i < BLOCKS; i++) FREE(blocks[i]);
}

static void *mixed_in_thread(void *seed) {
  mixed((unsigned)(uintptr_t)seed);
  return NULL;
}

static void right_mixed(size_t size) {
  (void)size;
  pthread_t threads[3];
  for (uintptr_t i = 0; i < 3; i++)
    expect(pthread_create(&threads[i], NULL, mixed_in_thread, (void *)i) == 0, "thread");
  mixed(99);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  hak_trim(0);
  expect(hak_check_heap(NULL) == 0, "hak_check_heap finds something");
  pid_t child = fork();
  if (child == 0) {
    mixed(7);
    _exit(0);
  }
  int status = -1;
  expect(waitpid(child, &status, 0) == child && status == 0, "the child failed");
}

static void right_large(size_t size) {
  volatile char *block = have(ALLOCATE(size));
  block[0] = block[size - 1] = 1;
  expect(hak_check_heap(NULL) == 0, "hak_check_heap finds something");
  FREE((void *)block);
}

static const struct {
  const char *name;
  void (*run)(size_t size);
} modes[] = {
    {"read_behind", read_behind},
    {"read_before", read_before},
    {"write_behind", write_behind},
    {"read_freed", read_freed},
    {"read_freed_by_realloc", read_freed_by_realloc},
    {"write_freed", write_freed},
    {"use_uninitialised", use_uninitialised},
    {"use_uninitialised_again", use_uninitialised_again},
    {"use_uninitialised_after_growth", use_uninitialised_after_growth},
    {"use_uninitialised_after_move", use_uninitialised_after_move},
    {"read_behind_shrunk", read_behind_shrunk},
    {"leak", leak},
    {"right_zeroed", right_zeroed},
    {"right_resized", right_resized},
    {"right_moved", right_moved},
    {"right_mixed", right_mixed},
    {"right_large", right_large},
};

int main(int count, char **arguments) {
  if (count == 1) {
    puts(hak_build_info());
    return 0;
  }
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    if (strcmp(modes[i].name, arguments[1]) != 0) continue;
    modes[i].run(count > 2 ? strtoull(arguments[2], NULL, 10) : 100);
    return 0;
  }
  printf("there is no %s\n", arguments[1]);
  return 1;
}
