// SPDX-License-Identifier: Apache-2.0
//
// The mutator as libFuzzer calls it: link it into a target. One call in ten is left to libFuzzer's own mutations of bytes,
// which a program that has been changed by operations alone would never see. AFL++ does not call these functions:
// mutator_afl.c is for it. Layer: op, above mutate.h.

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/op/mutate.h"

// libFuzzer's; other engines that the target may be linked with have none.
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second, size_t second_size,
                                 uint8_t *output, size_t max_size, unsigned int seed);

// FUZZ_MUTATOR=bytes leaves everything to libFuzzer, for comparison.
static bool only_bytes(void) {
  static int answer = -1;
  if (answer < 0) {
    const char *mutator = getenv("FUZZ_MUTATOR");
    answer = mutator != NULL && strcmp(mutator, "bytes") == 0;
  }
  return answer != 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
  bool no_room = max_size < OP_HEADER_BYTES + OP_BYTES;
  if (LLVMFuzzerMutate != NULL && (no_room || seed % 10 == 0 || only_bytes()))
    return LLVMFuzzerMutate(data, size, max_size);
  if (no_room) return size;
  return op_mutate(data, size, max_size, NULL, 0, seed);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second, size_t second_size,
                                 uint8_t *output, size_t max_size, unsigned int seed) {
  if (max_size < OP_HEADER_BYTES + OP_BYTES) {
    size_t size = first_size < max_size ? first_size : max_size;
    memcpy(output, first, size);
    return size;
  }
  return op_crossover(first, first_size, second, second_size, output, max_size, seed);
}
