// SPDX-License-Identifier: Apache-2.0
//
// What the benchmarks share around their loops: arguments, clocks, memory that does not come from the allocator under
// test, and the report. The benchmarks call malloc and free themselves, so that the calls take the form of the link.

#ifndef BENCH_HARNESS_H_
#define BENCH_HARNESS_H_

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Sizes and counts that random_below can meet.
#define BENCH_MAX_SIZE (UINT64_C(1) << 30)
#define BENCH_MAX_SLOTS (UINT64_C(1) << 28)
#define BENCH_MAX_THREADS 1024

// The benchmark's name and its --help text, set by main before anything else here is called.
void bench_begin(const char *name, const char *usage);

// Prints "NAME: message" and a hint at --help to stderr, and exits with status 2.
_Noreturn void bench_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Prints "NAME: message" to stderr and exits with status 1.
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2), cold, noinline));

// malloc(size) returned NULL.
_Noreturn void bench_fail_out_of_memory(size_t size) __attribute__((cold, noinline));

// Whether argument is --name=value; *value is then what stands behind the equals sign.
bool bench_option(const char *argument, const char *name, const char **value);

// The decimal number in text, which must lie in [low, high]; what names it in the message otherwise.
uint64_t bench_number(const char *text, const char *what, uint64_t low, uint64_t high);

// Sorts the arguments: options go to handle_option, which returns false for an unknown one; --help and --json are
// handled here. Returns how many positional arguments were stored; more than capacity is an error.
int bench_arguments(int argc, char **argv, bool (*handle_option)(const char *argument), const char **positional,
                    int capacity);

// Zeroed memory straight from the operating system, resident already, so that it does not fault in the measured loop.
void *bench_memory(size_t bytes);

void bench_start_thread(pthread_t *thread, void *(*function)(void *), void *argument);
void bench_join_thread(pthread_t thread);

// Keeps the calling thread on one of the CPUs that the process may use: the number-th of them, counted round and round.
void bench_pin_thread(uint64_t number);

// CPU time of the whole process (any threads of the allocator's own too) and wall time, from start to stop.
struct bench_clock {
  double cpu_seconds;
  double wall_seconds;
};
void bench_clock_start(struct bench_clock *clock);
void bench_clock_stop(struct bench_clock *clock);

// A parameter of the run, for the report. text is used where it is not NULL.
struct bench_parameter {
  const char *name;
  const char *text;
  uint64_t number;
};

struct bench_result {
  const struct bench_parameter *parameters;  // ends with an entry whose name is NULL
  bool allocator_used;                       // false: --null
  uint64_t operations;                       // what Throughput counts; each benchmark's --help defines it
  uint64_t allocations;                      // calls of malloc in the measured time
  uint64_t frees;                            // calls of free in the measured time
  uint64_t bytes_requested;                  // sum of the sizes of these allocations: equal for equal arguments
  struct bench_clock time;
};

// Says on stderr what was measured and how it was built; prints the throughput, or with --json one object, to stdout.
void bench_report(const struct bench_result *result);

#endif  // BENCH_HARNESS_H_
