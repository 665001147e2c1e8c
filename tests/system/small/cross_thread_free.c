// SPDX-License-Identifier: Apache-2.0
//
// cross_thread_free here|shuffled|there|stream MIB: allocates MIB of small blocks on one thread, frees them on another,
// trims, and checks that the process is then less than 16 MiB larger than it was.
//   here    the main thread allocates, another one frees and waits while the main thread trims
//   shuffled  the same, in random order: the last blocks of many slabs are among the last that are freed
//   there   another thread allocates and ends, the main thread frees
//   stream  one thread allocates while another frees, at most 32 MiB apart; the peak is checked too

#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>

#include "check.h"

#define MIB ((size_t)1 << 20)
#define LARGEST 512
#define STREAM_BATCH 4096

struct block {
  void *pointer;
  size_t size;
};

static struct block *blocks;
static size_t blocks_count, bytes_wanted;
static sem_t freed, trimmed;

static void *map_array(size_t bytes) {
  void *array = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(array != MAP_FAILED);
  return array;
}

static void *allocate_all(void *unused) {
  uint64_t state = 11;
  size_t bytes = 0;
  blocks_count = 0;
  while (bytes < bytes_wanted) {
    size_t size = 1 + next_random(&state) % LARGEST;
    blocks[blocks_count++] = (struct block){allocate_block(size), size};
    bytes += size;
  }
  return unused;
}

static void shuffle(void) {
  uint64_t state = 13;
  for (size_t i = blocks_count; i > 1; i--) {
    size_t other = next_random(&state) % i;
    struct block block = blocks[other];
    blocks[other] = blocks[i - 1];
    blocks[i - 1] = block;
  }
}

static void free_all(void) {
  for (size_t i = 0; i < blocks_count; i++) free_block(blocks[i].pointer, blocks[i].size);
}

static void *free_all_and_wait(void *unused) {
  free_all();
  CHECK(sem_post(&freed) == 0);
  while (sem_wait(&trimmed) != 0) CHECK(errno == EINTR);
  return unused;
}

// The ring between the two threads of `stream`: batches of blocks, at most RING of them full.
#define RING 32
static struct block *ring[RING];
static sem_t full, empty;
static size_t batches, peak;

static void *stream_allocate(void *unused) {
  uint64_t state = 12;
  for (size_t n = 0; n < batches; n++) {
    while (sem_wait(&empty) != 0) CHECK(errno == EINTR);
    for (int i = 0; i < STREAM_BATCH; i++) {
      size_t size = 1 + next_random(&state) % LARGEST;
      ring[n % RING][i] = (struct block){allocate_block(size), size};
    }
    CHECK(sem_post(&full) == 0);
  }
  return unused;
}

static void stream(void) {
  pthread_t thread;
  for (int i = 0; i < RING; i++) ring[i] = map_array(STREAM_BATCH * sizeof(struct block));
  CHECK(sem_init(&full, 0, 0) == 0 && sem_init(&empty, 0, RING) == 0);
  batches = bytes_wanted / (STREAM_BATCH * (LARGEST / 2));
  CHECK(pthread_create(&thread, NULL, stream_allocate, NULL) == 0);
  for (size_t n = 0; n < batches; n++) {
    while (sem_wait(&full) != 0) CHECK(errno == EINTR);
    for (int i = 0; i < STREAM_BATCH; i++) free_block(ring[n % RING][i].pointer, ring[n % RING][i].size);
    CHECK(sem_post(&empty) == 0);
    if (n % 16 == 0 && resident_bytes() > peak) peak = resident_bytes();
  }
  CHECK(pthread_join(thread, NULL) == 0);
  for (int i = 0; i < RING; i++) CHECK(munmap(ring[i], STREAM_BATCH * sizeof(struct block)) == 0);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s here|shuffled|there|stream MIB\n", argv[0]);
    return 2;
  }
  bytes_wanted = strtoul(argv[2], NULL, 10) * MIB;
  size_t array_bytes = bytes_wanted / 64 * sizeof(struct block);
  pthread_t thread;
  CHECK(sem_init(&freed, 0, 0) == 0 && sem_init(&trimmed, 0, 0) == 0);
  free_block(allocate_block(100), 100);
  size_t before = resident_bytes();

  if (strcmp(argv[1], "stream") == 0) {
    stream();
    malloc_trim(0);
  } else {
    blocks = map_array(array_bytes);
    if (strcmp(argv[1], "there") != 0) {
      allocate_all(NULL);
      if (strcmp(argv[1], "shuffled") == 0) shuffle();
      peak = resident_bytes();
      CHECK(pthread_create(&thread, NULL, free_all_and_wait, NULL) == 0);
      while (sem_wait(&freed) != 0) CHECK(errno == EINTR);
      CHECK(munmap(blocks, array_bytes) == 0);
      malloc_trim(0);
    } else {
      CHECK(pthread_create(&thread, NULL, allocate_all, NULL) == 0 && pthread_join(thread, NULL) == 0);
      peak = resident_bytes();
      free_all();
      CHECK(munmap(blocks, array_bytes) == 0);
      malloc_trim(0);
    }
    CHECK(peak > before + bytes_wanted);
  }

  size_t after = resident_bytes();
  fprintf(stderr, "%s: %zu KiB before, %zu KiB at the peak, %zu KiB after malloc_trim\n", argv[1], before >> 10,
          peak >> 10, after >> 10);
  CHECK(after < before + 16 * MIB);
  // In the stream at most 33 batches of 1 MiB live at once; twice that, and what the allocator caches.
  if (strcmp(argv[1], "stream") == 0) CHECK(peak < before + 80 * MIB);
  if (strcmp(argv[1], "here") == 0 || strcmp(argv[1], "shuffled") == 0)
    CHECK(sem_post(&trimmed) == 0 && pthread_join(thread, NULL) == 0);
  puts("passed");
  return 0;
}
