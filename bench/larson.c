// SPDX-License-Identifier: Apache-2.0
//
// larson: a server as in Larson and Krishnan, "Memory allocation for long-running server applications" (1998). Each
// server is a chain of threads that inherit an array of blocks from each other: a thread replaces random blocks of the
// array, then starts its successor on the same array and exits. So most blocks are freed by another thread than the one
// that allocated them, and by then that one is gone. The work is fixed, not the time, so that runs compare by CPU time.

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "bench/harness.h"
#include "bench/random_number.h"

static const char usage[] =
    "usage: larson GENERATIONS MIN_SIZE MAX_SIZE BLOCKS ROUNDS THREADS SEED [--json]\n"
    "\n"
    "THREADS servers at a time, each with BLOCKS blocks of MIN_SIZE..MAX_SIZE bytes that the main thread allocated "
    "and\n"
    "shuffled among the servers. A server thread replaces ROUNDS x BLOCKS randomly chosen blocks of its own (free, "
    "malloc,\n"
    "write the first and the last byte), then starts its successor, which goes on with these blocks, and exits.\n"
    "Each server is GENERATIONS threads long.\n"
    "  --json  one JSON object instead of the Throughput line\n"
    "\n"
    "Prints \"Throughput = N ops/s\": replacements (one free and one malloc) of all servers per second of CPU time, "
    "which\n"
    "includes starting and ending the threads.\n";

// Read-only once the threads run.
static struct {
  uint64_t generations;
  uint64_t min_size;
  uint64_t max_size;
  uint64_t blocks;
  uint64_t rounds;
  uint64_t servers;
  uint64_t seed;
} settings;

// Belongs to the thread that is the server's present generation.
struct server {
  char **blocks;
  uint64_t random_state;
  uint64_t bytes_requested;
  uint64_t generations_left;
  pthread_t previous;  // the generation before, to be joined by the present one; in the end the last one, for main
  bool has_previous;
};

static struct server servers[BENCH_MAX_THREADS];

static sem_t server_ended;

static char *allocate_block(uint32_t random) {
  const size_t size = settings.min_size + random_below(random, settings.max_size - settings.min_size + 1);
  char *block = malloc(size);
  if (block == NULL) bench_fail_out_of_memory(size);
  block[0] = (char)size;
  block[size - 1] = (char)size;
  return block;
}

// The measured loop.
static __attribute__((noinline)) void replace_blocks(struct server *server) {
  char **const blocks = server->blocks;
  const uint64_t block_count = settings.blocks;
  const uint64_t min_size = settings.min_size;
  const uint64_t size_count = settings.max_size - min_size + 1;
  uint64_t bytes_requested = 0;
  uint64_t state = server->random_state;
  const uint64_t last_state = state + settings.rounds * block_count * RANDOM_STRIDE;
  while (state != last_state) {
    state += RANDOM_STRIDE;
    __asm__("" : "+r"(state));  // keeps the compiler from counting in a second variable, which it would have to spill
    const uint64_t random = random_bits(state);
    const size_t victim = random_below((uint32_t)(random >> 32), block_count);
    free(blocks[victim]);
    const size_t size = min_size + random_below((uint32_t)random, size_count);
    char *block = malloc(size);
    if (__builtin_expect(block == NULL, 0)) bench_fail_out_of_memory(size);
    block[0] = (char)size;
    block[size - 1] = (char)size;
    blocks[victim] = block;
    bytes_requested += size;
  }
  server->random_state = state;
  server->bytes_requested += bytes_requested;
}

// One generation. It joins the one before it only when its own work is done, so that both may be alive at the same
// time, as where a server really hands work on; yet no thread's exit escapes the clock.
static void *serve(void *argument) {
  struct server *server = argument;
  replace_blocks(server);
  if (server->has_previous) bench_join_thread(server->previous);
  server->previous = pthread_self();
  server->has_previous = true;
  if (--server->generations_left > 0) {
    pthread_t successor;
    bench_start_thread(&successor, serve, server);  // *server is the successor's from here on
  } else if (sem_post(&server_ended) != 0) {
    bench_fail("sem_post failed");
  }
  return NULL;
}

// Allocates all blocks and shuffles them, so that each server begins with blocks from all over main's heap.
static char **allocate_blocks(uint64_t count) {
  char **blocks = bench_memory(count * sizeof(char *));
  uint64_t state = random_start(settings.seed, settings.servers);
  for (uint64_t i = 0; i < count; i++) {
    state += RANDOM_STRIDE;
    blocks[i] = allocate_block((uint32_t)random_bits(state));
  }
  for (uint64_t i = count - 1; i > 0; i--) {
    state += RANDOM_STRIDE;
    const uint64_t other = random_below((uint32_t)(random_bits(state) >> 32), i + 1);
    char *block = blocks[i];
    blocks[i] = blocks[other];
    blocks[other] = block;
  }
  return blocks;
}

static void run_servers(struct bench_clock *clock) {
  if (sem_init(&server_ended, 0, 0) != 0) bench_fail("cannot make a semaphore");
  bench_clock_start(clock);
  for (uint64_t i = 0; i < settings.servers; i++) {
    pthread_t first;
    bench_start_thread(&first, serve, &servers[i]);
  }
  for (uint64_t i = 0; i < settings.servers; i++) {
    while (sem_wait(&server_ended) != 0) {
      if (errno != EINTR) bench_fail("sem_wait failed");
    }
  }
  for (uint64_t i = 0; i < settings.servers; i++) bench_join_thread(servers[i].previous);
  bench_clock_stop(clock);
}

static bool handle_option(const char *argument) {
  (void)argument;
  return false;
}

int main(int argc, char **argv) {
  const char *positional[7];
  bench_begin("larson", usage);
  if (bench_arguments(argc, argv, handle_option, positional, 7) < 7) bench_usage_error("seven arguments are needed");
  settings.generations = bench_number(positional[0], "GENERATIONS", 1, UINT64_C(1) << 24);
  settings.min_size = bench_number(positional[1], "MIN_SIZE", 1, BENCH_MAX_SIZE);
  settings.max_size = bench_number(positional[2], "MAX_SIZE", settings.min_size, BENCH_MAX_SIZE);
  settings.blocks = bench_number(positional[3], "BLOCKS", 1, BENCH_MAX_SLOTS / BENCH_MAX_THREADS);
  settings.rounds = bench_number(positional[4], "ROUNDS", 1, UINT64_C(1) << 24);
  settings.servers = bench_number(positional[5], "THREADS", 1, BENCH_MAX_THREADS);
  settings.seed = bench_number(positional[6], "SEED", 0, UINT64_MAX);

  const uint64_t total_blocks = settings.servers * settings.blocks;
  char **blocks = allocate_blocks(total_blocks);
  for (uint64_t i = 0; i < settings.servers; i++) {
    servers[i].blocks = blocks + i * settings.blocks;
    servers[i].random_state = random_start(settings.seed, i);
    servers[i].generations_left = settings.generations;
  }
  struct bench_result result = {.allocator_used = true};
  run_servers(&result.time);
  for (uint64_t i = 0; i < total_blocks; i++) free(blocks[i]);

  result.operations = settings.servers * settings.generations * settings.rounds * settings.blocks;
  result.allocations = result.operations;
  result.frees = result.operations;
  for (uint64_t i = 0; i < settings.servers; i++) result.bytes_requested += servers[i].bytes_requested;
  const struct bench_parameter parameters[] = {
      {"generations", NULL, settings.generations},
      {"min_size", NULL, settings.min_size},
      {"max_size", NULL, settings.max_size},
      {"blocks", NULL, settings.blocks},
      {"rounds", NULL, settings.rounds},
      {"threads", NULL, settings.servers},
      {"seed", NULL, settings.seed},
      {NULL, NULL, 0},
  };
  result.parameters = parameters;
  bench_report(&result);
  return 0;
}
