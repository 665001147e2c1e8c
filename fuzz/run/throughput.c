// SPDX-License-Identifier: Apache-2.0
//
// How often a fuzz target executes a program within a second of CPU time, in one process: programs of so many operations,
// made by the mutator from a fixed seed, with a header of zeroes; all of them several rounds long. First without
// repetitions, so that no more operations are executed than the program has, then as the mutator makes them.
//
//     throughput [PROGRAMS [OPERATIONS [ROUNDS]]]

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fuzz/op/mutate.h"
#include "fuzz/op/program.h"

#define ROUNDS_MAX 99

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static double cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare(const void *first, const void *second) {
  double a = *(const double *)first, b = *(const double *)second;
  return (a > b) - (a < b);
}

static size_t remove_repetitions(uint8_t *input, size_t bytes) {
  static struct program program;
  program_read(&program, input, bytes, bytes);
  for (size_t i = program.count; i-- > 0;) {
    if (program.ops[i].kind == OP_REPEAT) program_remove(&program, i, 1);
  }
  return program_write(&program, input);
}

static void make_input(uint8_t *input, size_t bytes, struct random *random, int repeats) {
  static uint8_t made[OP_INPUT_MAX];
  size_t size = 0;
  while (size < bytes) {
    size = op_mutate(made, size, bytes, NULL, 0, random_next(random));
    if (!repeats) size = remove_repetitions(made, size);
  }
  memcpy(input, made, bytes);
  memset(input, 0, OP_HEADER_BYTES);
}

static void measure(const char *kind, size_t programs, size_t operations, size_t rounds, int repeats) {
  size_t bytes = OP_HEADER_BYTES + operations * OP_BYTES;
  uint8_t *inputs = malloc(programs * bytes);
  double rates[ROUNDS_MAX];
  struct random random;
  if (inputs == NULL) abort();
  random_begin(&random, 1);
  for (size_t i = 0; i < programs; i++) make_input(inputs + i * bytes, bytes, &random, repeats);
  for (size_t round = 0; round < rounds; round++) {
    double begin = cpu_seconds();
    for (size_t i = 0; i < programs; i++) LLVMFuzzerTestOneInput(inputs + i * bytes, bytes);
    rates[round] = (double)programs / (cpu_seconds() - begin);
  }
  qsort(rates, rounds, sizeof rates[0], compare);
  printf("%s: median %.0f, best %.0f executions per CPU second (%zu programs of %zu operations, %zu rounds)\n", kind,
         rates[rounds / 2], rates[rounds - 1], programs, operations, rounds);
  fflush(stdout);
  free(inputs);
}

static size_t number(int count, char **arguments, int index, size_t otherwise, size_t most) {
  if (index >= count) return otherwise;
  size_t given = strtoul(arguments[index], NULL, 10);
  if (given == 0 || given > most) {
    fprintf(stderr, "usage: %s [PROGRAMS [OPERATIONS (at most %d) [ROUNDS (at most %d)]]]\n", arguments[0],
            OP_COUNT_MAX, ROUNDS_MAX);
    exit(2);
  }
  return given;
}

int main(int count, char **arguments) {
  size_t programs = number(count, arguments, 1, 3000, 1000000);
  size_t operations = number(count, arguments, 2, 64, OP_COUNT_MAX);
  size_t rounds = number(count, arguments, 3, 7, ROUNDS_MAX);
  measure("without repetitions", programs, operations, rounds, 0);
  measure("with repetitions", programs, operations, rounds, 1);
  return 0;
}
