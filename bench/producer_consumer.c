// SPDX-License-Identifier: Apache-2.0
//
// producer_consumer: one thread of a pair allocates blocks in batches, the other one frees them; no block is ever freed
// by the thread that allocated it. Batches wait in a short queue of fixed size, so that neither side runs away; who
// finds it full or empty sleeps until it is half full, so that threads are woken seldom. Threads have CPUs of their own
// where there are enough: where a scheduler at times puts both sides on one CPU, the figures are of two kinds.

#include <pthread.h>
#include <stdlib.h>

#include "bench/harness.h"
#include "bench/random_number.h"

static const char usage[] =
    "usage: producer_consumer BATCHES BATCH_BLOCKS MIN_SIZE MAX_SIZE SEED [--pairs=N] [--json]\n"
    "\n"
    "In each pair of threads a producer allocates BATCHES batches of BATCH_BLOCKS blocks of MIN_SIZE..MAX_SIZE bytes,\n"
    "writes the first and the last byte of each, and hands the batch to a consumer, which frees the blocks.\n"
    "At most 16 batches of a pair wait. Each thread is pinned to one of the CPUs allowed, in turn.\n"
    "  --pairs=N  N pairs of threads, each with BATCHES batches (default 1)\n"
    "  --json     one JSON object instead of the Throughput line\n"
    "\n"
    "Prints \"Throughput = N ops/s\": blocks (each allocated once and freed once) of all pairs per second of CPU "
    "time.\n"
    "By wall time, which also sees threads that wait for each other, the figure is wall_throughput in the JSON "
    "object.\n";

#define QUEUE_LENGTH 16
#define QUEUE_HALF (QUEUE_LENGTH / 2)

// Read-only once the threads run.
static struct {
  uint64_t batches;
  uint64_t batch_blocks;
  uint64_t min_size;
  uint64_t max_size;
  uint64_t seed;
  uint64_t pairs;
} settings = {.pairs = 1};

// A ring of QUEUE_LENGTH batches. The batches from `consumed` up to `produced`, modulo QUEUE_LENGTH, are the
// consumer's, the others the producer's; the mutex guards the two counts.
struct pair {
  pthread_mutex_t mutex;
  pthread_cond_t half_full;  // or the last batch is there
  uint64_t produced;
  uint64_t consumed;
  char **blocks;  // QUEUE_LENGTH x batch_blocks
  uint64_t random_state;
  uint64_t bytes_requested;  // the producer's
};

static struct pair pairs[BENCH_MAX_THREADS / 2];

static char **batch_at(struct pair *pair, uint64_t number) {
  return pair->blocks + (number % QUEUE_LENGTH) * settings.batch_blocks;
}

static __attribute__((noinline)) void allocate_batch(struct pair *pair, char **batch) {
  const uint64_t min_size = settings.min_size;
  const uint64_t size_count = settings.max_size - min_size + 1;
  uint64_t bytes_requested = 0;
  uint64_t state = pair->random_state;
  for (uint64_t i = 0; i < settings.batch_blocks; i++) {
    state += RANDOM_STRIDE;
    const size_t size = min_size + random_below((uint32_t)random_bits(state), size_count);
    char *block = malloc(size);
    if (__builtin_expect(block == NULL, 0)) bench_fail_out_of_memory(size);
    block[0] = (char)size;
    block[size - 1] = (char)size;
    batch[i] = block;
    bytes_requested += size;
  }
  pair->random_state = state;
  pair->bytes_requested += bytes_requested;
}

static __attribute__((noinline)) void free_batch(char **batch) {
  for (uint64_t i = 0; i < settings.batch_blocks; i++) free(batch[i]);
}

static void *produce(void *argument) {
  struct pair *pair = argument;
  bench_pin_thread(2 * (uint64_t)(pair - pairs));
  for (uint64_t number = 0; number < settings.batches; number++) {
    pthread_mutex_lock(&pair->mutex);
    if (number - pair->consumed == QUEUE_LENGTH) {
      while (number - pair->consumed > QUEUE_HALF) pthread_cond_wait(&pair->half_full, &pair->mutex);
    }
    pthread_mutex_unlock(&pair->mutex);
    allocate_batch(pair, batch_at(pair, number));
    pthread_mutex_lock(&pair->mutex);
    pair->produced = number + 1;
    const bool wake = pair->produced - pair->consumed == QUEUE_HALF || pair->produced == settings.batches;
    pthread_mutex_unlock(&pair->mutex);
    if (wake) pthread_cond_signal(&pair->half_full);
  }
  return NULL;
}

static void *consume(void *argument) {
  struct pair *pair = argument;
  bench_pin_thread(2 * (uint64_t)(pair - pairs) + 1);
  for (uint64_t number = 0; number < settings.batches; number++) {
    pthread_mutex_lock(&pair->mutex);
    if (pair->produced == number) {
      while (pair->produced - number < QUEUE_HALF && pair->produced < settings.batches) {
        pthread_cond_wait(&pair->half_full, &pair->mutex);
      }
    }
    pthread_mutex_unlock(&pair->mutex);
    free_batch(batch_at(pair, number));
    pthread_mutex_lock(&pair->mutex);
    pair->consumed = number + 1;
    const bool wake = pair->produced - pair->consumed == QUEUE_HALF;
    pthread_mutex_unlock(&pair->mutex);
    if (wake) pthread_cond_signal(&pair->half_full);
  }
  return NULL;
}

static void run_pairs(struct bench_clock *clock) {
  pthread_t producers[BENCH_MAX_THREADS / 2];
  pthread_t consumers[BENCH_MAX_THREADS / 2];
  bench_clock_start(clock);
  for (uint64_t i = 0; i < settings.pairs; i++) {
    bench_start_thread(&consumers[i], consume, &pairs[i]);
    bench_start_thread(&producers[i], produce, &pairs[i]);
  }
  for (uint64_t i = 0; i < settings.pairs; i++) {
    bench_join_thread(producers[i]);
    bench_join_thread(consumers[i]);
  }
  bench_clock_stop(clock);
}

static bool handle_option(const char *argument) {
  const char *value;
  if (!bench_option(argument, "--pairs", &value)) return false;
  settings.pairs = bench_number(value, "--pairs", 1, BENCH_MAX_THREADS / 2);
  return true;
}

int main(int argc, char **argv) {
  const char *positional[5];
  bench_begin("producer_consumer", usage);
  if (bench_arguments(argc, argv, handle_option, positional, 5) < 5) bench_usage_error("five arguments are needed");
  settings.batches = bench_number(positional[0], "BATCHES", 1, UINT64_C(1) << 32);
  settings.batch_blocks = bench_number(positional[1], "BATCH_BLOCKS", 1, UINT64_C(1) << 24);
  settings.min_size = bench_number(positional[2], "MIN_SIZE", 1, BENCH_MAX_SIZE);
  settings.max_size = bench_number(positional[3], "MAX_SIZE", settings.min_size, BENCH_MAX_SIZE);
  settings.seed = bench_number(positional[4], "SEED", 0, UINT64_MAX);

  for (uint64_t i = 0; i < settings.pairs; i++) {
    pthread_mutex_init(&pairs[i].mutex, NULL);
    pthread_cond_init(&pairs[i].half_full, NULL);
    pairs[i].blocks = bench_memory(QUEUE_LENGTH * settings.batch_blocks * sizeof(char *));
    pairs[i].random_state = random_start(settings.seed, i);
  }
  struct bench_result result = {.allocator_used = true};
  run_pairs(&result.time);

  result.operations = settings.pairs * settings.batches * settings.batch_blocks;
  result.allocations = result.operations;
  result.frees = result.operations;
  for (uint64_t i = 0; i < settings.pairs; i++) result.bytes_requested += pairs[i].bytes_requested;
  const struct bench_parameter parameters[] = {
      {"batches", NULL, settings.batches},
      {"batch_blocks", NULL, settings.batch_blocks},
      {"min_size", NULL, settings.min_size},
      {"max_size", NULL, settings.max_size},
      {"seed", NULL, settings.seed},
      {"pairs", NULL, settings.pairs},
      {NULL, NULL, 0},
  };
  result.parameters = parameters;
  bench_report(&result);
  return 0;
}
