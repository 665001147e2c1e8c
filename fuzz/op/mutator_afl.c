// SPDX-License-Identifier: Apache-2.0
//
// The mutator as AFL++ (4.04c and later) calls it, in a shared library:
//
//     AFL_CUSTOM_MUTATOR_LIBRARY=libop_mutator.so afl-fuzz ...
//
// Alone with AFL_CUSTOM_MUTATOR_ONLY=1, otherwise among AFL++'s own mutations of bytes. Trims by whole operations. Layer: op,
// above mutate.h and trim.h; allocates its state when it is loaded. Test: mutator_afl_test.cc.

#include <stdlib.h>
#include <string.h>

#include "fuzz/op/mutate.h"
#include "fuzz/op/program.h"
#include "fuzz/op/trim.h"

#define EXPORTED __attribute__((visibility("default")))

// One in so many inputs is made of two.
#define CROSSOVER_RATIO 4
// Of a hundred steps of havoc, so many are ours.
#define HAVOC_PERCENT 25

struct mutator {
  struct random random;
  struct trim trim;
  uint8_t output[OP_INPUT_MAX];
};

EXPORTED void *afl_custom_init(void *afl, unsigned int seed);
EXPORTED void afl_custom_deinit(void *data);
EXPORTED size_t afl_custom_fuzz(void *data, uint8_t *input, size_t size, uint8_t **output, uint8_t *other,
                                size_t other_size, size_t max_size);
EXPORTED size_t afl_custom_havoc_mutation(void *data, uint8_t *input, size_t size, uint8_t **output, size_t max_size);
EXPORTED uint8_t afl_custom_havoc_mutation_probability(void *data);
EXPORTED const char *afl_custom_describe(void *data, size_t max_size);
EXPORTED int afl_custom_init_trim(void *data, uint8_t *input, size_t size);
EXPORTED size_t afl_custom_trim(void *data, uint8_t **output);
EXPORTED int afl_custom_post_trim(void *data, unsigned char success);

void *afl_custom_init(void *afl, unsigned int seed) {
  (void)afl;
  struct mutator *mutator = calloc(1, sizeof *mutator);
  if (mutator != NULL) random_begin(&mutator->random, seed);
  return mutator;
}

void afl_custom_deinit(void *data) { free(data); }

// Puts what is to be changed where the result will be.
static size_t copy_input(struct mutator *mutator, const uint8_t *input, size_t size) {
  if (size > OP_INPUT_MAX) size = OP_INPUT_MAX;
  if (size > 0) memcpy(mutator->output, input, size);
  return size;
}

static size_t limit(size_t max_size) { return max_size < OP_INPUT_MAX ? max_size : OP_INPUT_MAX; }

size_t afl_custom_fuzz(void *data, uint8_t *input, size_t size, uint8_t **output, uint8_t *other, size_t other_size,
                       size_t max_size) {
  struct mutator *mutator = data;
  uint64_t seed = random_next(&mutator->random);
  *output = mutator->output;
  if (max_size < OP_HEADER_BYTES + OP_BYTES) return 0;  // AFL++ goes on to its next mutation
  if (other_size > 0 && random_below(&mutator->random, CROSSOVER_RATIO) == 0) {
    return op_crossover(input, size, other, other_size, mutator->output, limit(max_size), seed);
  }
  size = copy_input(mutator, input, size);
  return op_mutate(mutator->output, size, limit(max_size), other, other_size, seed);
}

size_t afl_custom_havoc_mutation(void *data, uint8_t *input, size_t size, uint8_t **output, size_t max_size) {
  struct mutator *mutator = data;
  if (max_size < OP_HEADER_BYTES + OP_BYTES) {
    *output = input;
    return size;
  }
  size = copy_input(mutator, input, size);
  *output = mutator->output;
  return op_mutate(mutator->output, size, limit(max_size), NULL, 0, random_next(&mutator->random));
}

uint8_t afl_custom_havoc_mutation_probability(void *data) {
  (void)data;
  return HAVOC_PERCENT;
}

// A part of the names of the files in the queue.
const char *afl_custom_describe(void *data, size_t max_size) {
  (void)data;
  return max_size >= sizeof "op:operations" ? "op:operations" : "";
}

int afl_custom_init_trim(void *data, uint8_t *input, size_t size) {
  struct mutator *mutator = data;
  return (int)trim_begin(&mutator->trim, input, size);
}

size_t afl_custom_trim(void *data, uint8_t **output) {
  struct mutator *mutator = data;
  *output = mutator->output;
  return trim_next(&mutator->trim, mutator->output);
}

int afl_custom_post_trim(void *data, unsigned char success) {
  struct mutator *mutator = data;
  return (int)trim_end_step(&mutator->trim, success != 0);
}
