// SPDX-License-Identifier: Apache-2.0
//
// random_mixed: blocks of random sizes in random slots, on one thread or on several that share nothing. The loop does
// as little as possible besides malloc and free: one random number, one slot, two bytes written. See usage below for
// the two modes and for what an operation is. --null takes the allocator out of the same loop: no allocator can be
// faster than that.

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness.h"
#include "bench/random_number.h"

static const char usage[] =
    "usage: random_mixed ITERATIONS MAX_SIZE SEED [SLOTS] [options]\n"
    "\n"
    "Allocates and frees blocks of 16..MAX_SIZE bytes in randomly chosen ones of SLOTS slots (default 2048).\n"
    "  --mode=classic  each iteration picks a slot, frees its block if it has one, and otherwise allocates one and\n"
    "                  writes its first and its last byte; all slots are empty at the start (default)\n"
    "  --mode=replace  each iteration picks a slot, frees its block, allocates another one and writes its first and\n"
    "                  its last byte; all slots are filled before the clock starts\n"
    "  --threads=N     N threads, each with slots of its own and ITERATIONS iterations (default 1)\n"
    "  --null          the same loop without an allocator: slots refer to a fixed buffer\n"
    "  --json          one JSON object instead of the Throughput line\n"
    "\n"
    "Prints \"Throughput = N ops/s\": iterations of all threads per second of CPU time. An iteration is one malloc or\n"
    "one free in the classic mode, one free and one malloc in the replace mode.\n";

#define MIN_SIZE 16
#define DEFAULT_SLOTS 2048

// Read-only once the threads run.
static struct {
  bool replace;
  bool null;
  uint64_t threads;
  uint64_t iterations;
  uint64_t max_size;
  uint64_t seed;
  uint64_t slots;
} settings = {.threads = 1, .slots = DEFAULT_SLOTS};

// One thread's slots. An empty slot is NULL.
struct worker {
  char **slots;
  char *null_buffer;   // --null: slot i refers to null_buffer + i * null_stride
  size_t null_stride;  // the mean size, so that as many bytes are in use as with an allocator
  uint64_t random_state;
  uint64_t bytes_requested;
};

static struct worker workers[BENCH_MAX_THREADS];

// All threads and main meet here before and after the measured loop.
static pthread_barrier_t meeting;

// The measured loop. Its two parameters are constants at each call, so that each of the four loops stands alone.
static inline __attribute__((always_inline)) void run_loop(struct worker *worker, uint64_t iterations, bool replace,
                                                           bool null) {
  char **const slots = worker->slots;
  char *const null_buffer = worker->null_buffer;
  const size_t null_stride = worker->null_stride;
  const uint64_t slot_count = settings.slots;
  const uint64_t size_count = settings.max_size - MIN_SIZE + 1;
  uint64_t bytes_requested = 0;
  uint64_t state = worker->random_state;
  const uint64_t last_state = state + iterations * RANDOM_STRIDE;
  while (state != last_state) {
    state += RANDOM_STRIDE;
    __asm__("" : "+r"(state));  // keeps the compiler from counting in a second variable, which it would have to spill
    const uint64_t random = random_bits(state);
    const size_t slot = random_below((uint32_t)(random >> 32), slot_count);
    char *block = slots[slot];
    if (replace || block != NULL) {
      if (null) {
        __asm__ volatile("" : : "r"(block));  // the slot is read, as free would have it
      } else {
        free(block);
      }
      if (!replace) {
        slots[slot] = NULL;
        continue;
      }
    }
    const size_t size = MIN_SIZE + random_below((uint32_t)random, size_count);
    block = null ? null_buffer + slot * null_stride : malloc(size);
    if (__builtin_expect(block == NULL, 0)) bench_fail_out_of_memory(size);
    block[0] = (char)size;
    block[size - 1] = (char)size;
    slots[slot] = block;
    bytes_requested += size;
  }
  worker->random_state = state;
  worker->bytes_requested = bytes_requested;
}

// Not inlined: each is a function of its own in the disassembly.
static __attribute__((noinline)) void run_classic(struct worker *w) { run_loop(w, settings.iterations, false, false); }
static __attribute__((noinline)) void run_replace(struct worker *w) { run_loop(w, settings.iterations, true, false); }
static __attribute__((noinline)) void run_classic_null(struct worker *w) {
  run_loop(w, settings.iterations, false, true);
}
static __attribute__((noinline)) void run_replace_null(struct worker *w) {
  run_loop(w, settings.iterations, true, true);
}

static void run_measured(struct worker *worker) {
  if (settings.null) {
    (settings.replace ? run_replace_null : run_classic_null)(worker);
  } else {
    (settings.replace ? run_replace : run_classic)(worker);
  }
}

static void prepare_worker(struct worker *worker, uint64_t number) {
  worker->slots = bench_memory(settings.slots * sizeof(char *));
  worker->random_state = random_start(settings.seed, number);
  worker->null_stride = ((MIN_SIZE + settings.max_size) / 2 + 15) & ~(size_t)15;
  if (settings.null) worker->null_buffer = bench_memory(settings.slots * worker->null_stride + settings.max_size);
}

// Gives every slot a block. On the thread that is going to use them.
static void fill_slots(struct worker *worker) {
  for (uint64_t slot = 0; slot < settings.slots; slot++) {
    worker->random_state += RANDOM_STRIDE;
    const uint32_t random = (uint32_t)random_bits(worker->random_state);
    const size_t size = MIN_SIZE + random_below(random, settings.max_size - MIN_SIZE + 1);
    char *block = settings.null ? worker->null_buffer + slot * worker->null_stride : malloc(size);
    if (block == NULL) bench_fail_out_of_memory(size);
    block[0] = (char)size;
    block[size - 1] = (char)size;
    worker->slots[slot] = block;
  }
}

// Frees what is left. Returns how many slots had a block.
static uint64_t empty_slots(struct worker *worker) {
  uint64_t occupied = 0;
  for (uint64_t slot = 0; slot < settings.slots; slot++) {
    if (worker->slots[slot] == NULL) continue;
    occupied++;
    if (!settings.null) free(worker->slots[slot]);
  }
  return occupied;
}

static void *run_thread(void *argument) {
  struct worker *worker = argument;
  if (settings.replace) fill_slots(worker);
  pthread_barrier_wait(&meeting);  // ready
  pthread_barrier_wait(&meeting);  // the clock runs
  run_measured(worker);
  pthread_barrier_wait(&meeting);  // done
  pthread_barrier_wait(&meeting);  // the clock has stopped
  return NULL;
}

static void run_threads(struct bench_clock *clock) {
  pthread_t threads[BENCH_MAX_THREADS];
  if (pthread_barrier_init(&meeting, NULL, (unsigned)settings.threads + 1) != 0) bench_fail("cannot make a barrier");
  for (uint64_t i = 0; i < settings.threads; i++) bench_start_thread(&threads[i], run_thread, &workers[i]);
  pthread_barrier_wait(&meeting);
  bench_clock_start(clock);
  pthread_barrier_wait(&meeting);
  pthread_barrier_wait(&meeting);
  bench_clock_stop(clock);
  pthread_barrier_wait(&meeting);
  for (uint64_t i = 0; i < settings.threads; i++) bench_join_thread(threads[i]);
}

// A single worker runs on the main thread, in a process that has never had another one: some allocators are faster
// then.
static void run_alone(struct bench_clock *clock) {
  if (settings.replace) fill_slots(&workers[0]);
  bench_clock_start(clock);
  run_measured(&workers[0]);
  bench_clock_stop(clock);
}

static bool handle_option(const char *argument) {
  const char *value;
  if (strcmp(argument, "--null") == 0) {
    settings.null = true;
  } else if (bench_option(argument, "--mode", &value)) {
    settings.replace = strcmp(value, "replace") == 0;
    if (!settings.replace && strcmp(value, "classic") != 0) {
      bench_usage_error("--mode: \"%s\" is neither classic nor replace", value);
    }
  } else if (bench_option(argument, "--threads", &value)) {
    settings.threads = bench_number(value, "--threads", 1, BENCH_MAX_THREADS);
  } else {
    return false;
  }
  return true;
}

int main(int argc, char **argv) {
  const char *positional[4];
  bench_begin("random_mixed", usage);
  int count = bench_arguments(argc, argv, handle_option, positional, 4);
  if (count < 3) bench_usage_error("ITERATIONS, MAX_SIZE and SEED are needed");
  settings.iterations = bench_number(positional[0], "ITERATIONS", 1, UINT64_C(1) << 48);
  settings.max_size = bench_number(positional[1], "MAX_SIZE", MIN_SIZE, BENCH_MAX_SIZE);
  settings.seed = bench_number(positional[2], "SEED", 0, UINT64_MAX);
  if (count == 4) settings.slots = bench_number(positional[3], "SLOTS", 1, BENCH_MAX_SLOTS);

  struct bench_result result = {.allocator_used = !settings.null};
  for (uint64_t i = 0; i < settings.threads; i++) prepare_worker(&workers[i], i);
  if (settings.threads == 1) {
    run_alone(&result.time);
  } else {
    run_threads(&result.time);
  }

  // Each classic iteration either fills a slot or empties one, so what is left in the slots tells the two counts.
  uint64_t occupied = 0;
  for (uint64_t i = 0; i < settings.threads; i++) {
    occupied += empty_slots(&workers[i]);
    result.bytes_requested += workers[i].bytes_requested;
  }
  result.operations = settings.threads * settings.iterations;
  result.allocations = settings.replace ? result.operations : (result.operations + occupied) / 2;
  result.frees = settings.replace ? result.operations : (result.operations - occupied) / 2;
  const struct bench_parameter parameters[] = {
      {"mode", settings.replace ? "replace" : "classic", 0},
      {"iterations", NULL, settings.iterations},
      {"max_size", NULL, settings.max_size},
      {"seed", NULL, settings.seed},
      {"slots", NULL, settings.slots},
      {"threads", NULL, settings.threads},
      {NULL, NULL, 0},
  };
  result.parameters = parameters;
  bench_report(&result);
  return 0;
}
