// SPDX-License-Identifier: Apache-2.0
//
// The functions of hakmem/hakmem.h in random order on several threads, with contents that are checked, and a heap that is
// whole and empty at the end. In C, so that it also runs under MemorySanitizer, which must find every byte that is read
// written.

#include <hakmem/hakmem.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 3
#define SLOTS 200
#define STEPS 20000

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

struct slot {
  unsigned char *block;
  size_t size;
  size_t alignment;  // 0 where none was asked for
  unsigned char mark;
};

static uint64_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}

static size_t random_size(uint64_t *state) {
  unsigned kind = next_random(state) % 100;
  size_t limit = kind < 80 ? 400 : kind < 95 ? 10000 : kind < 99 ? 300000 : 3000000;
  return next_random(state) % limit;
}

static void check_contents(const struct slot *slot, size_t size) {
  for (size_t i = 0; i < size; i += i < 100 ? 1 : 97) CHECK(slot->block[i] == slot->mark);
}

static void fill(struct slot *slot, uint64_t *state) {
  CHECK(slot->block != NULL && (uintptr_t)slot->block % 16 == 0);
  CHECK(hak_usable_size(slot->block) >= slot->size);
  slot->mark = (unsigned char)next_random(state);
  memset(slot->block, slot->mark, slot->size);
}

static void allocate(struct slot *slot, uint64_t *state) {
  slot->size = random_size(state);
  slot->alignment = 0;
  switch (next_random(state) % 4) {
    case 0:
      slot->block = hak_calloc(1, slot->size);
      for (size_t i = 0; i < slot->size; i += 61) CHECK(slot->block[i] == 0);
      break;
    case 1:
      slot->alignment = (size_t)32 << next_random(state) % 8;
      slot->block = hak_aligned_alloc(slot->alignment, slot->size);
      CHECK((uintptr_t)slot->block % slot->alignment == 0);
      break;
    default:
      slot->block = hak_malloc(slot->size);
  }
  fill(slot, state);
}

static void release(struct slot *slot, uint64_t *state) {
  check_contents(slot, slot->size);
  if (slot->alignment != 0 && next_random(state) % 2 == 0) {
    hak_free_aligned_sized(slot->block, slot->alignment, slot->size);
  } else if (slot->alignment == 0 && next_random(state) % 2 == 0) {
    hak_free_sized(slot->block, slot->size);
  } else {
    hak_free(slot->block);
  }
  slot->block = NULL;
}

static void resize(struct slot *slot, uint64_t *state) {
  size_t size = 1 + random_size(state);
  unsigned char *moved = hak_realloc(slot->block, size);
  CHECK(moved != NULL);
  slot->block = moved;
  check_contents(slot, slot->size < size ? slot->size : size);
  slot->size = size;
  // A block that stays keeps its alignment, one that moves does not: neither may be claimed.
  slot->alignment = 1;
  fill(slot, state);
}

static void *work(void *seed) {
  struct slot slots[SLOTS] = {{0}};
  uint64_t state = (uintptr_t)seed;
  for (int step = 0; step < STEPS; step++) {
    struct slot *slot = &slots[next_random(&state) % SLOTS];
    if (slot->block == NULL) {
      allocate(slot, &state);
    } else if (next_random(&state) % 3 == 0) {
      resize(slot, &state);
    } else {
      if (slot->alignment == 1) {
        check_contents(slot, slot->size);
        hak_free(slot->block);
        slot->block = NULL;
      } else {
        release(slot, &state);
      }
    }
    if (step % 5000 == 4999) hak_trim(0);
  }
  for (int i = 0; i < SLOTS; i++) hak_free(slots[i].block);
  return NULL;
}

int main(void) {
  pthread_t threads[THREADS];
  for (size_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, work, (void *)(i + 42)) == 0);
  for (size_t i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  struct hak_misuse violation;
  if (hak_check_heap(&violation) != 0) fprintf(stderr, "%s at %p\n", violation.message, (void *)violation.pointer);
  CHECK(hak_check_heap(NULL) == 0);
  hak_trim(0);
  struct hak_statistics statistics;
  CHECK(hak_get_statistics(&statistics, sizeof statistics) == 0);
  CHECK(statistics.live_bytes == 0 && statistics.large_bytes == 0 && statistics.slab_bytes == 0);
  CHECK(hak_check_heap(NULL) == 0);
  puts("passed");
  return 0;
}
