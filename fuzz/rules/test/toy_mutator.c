// SPDX-License-Identifier: Apache-2.0
//
// A custom mutator of AFL++ that knows what the toy with the secret looks for.

#include <stdint.h>
#include <stddef.h>
#include <string.h>

#include "fuzz/rules/test/toy_secret.h"

static uint8_t output[] = TOY_SECRET;

void *afl_custom_init(void *afl, unsigned int seed) {
  (void)afl;
  (void)seed;
  return output;
}

size_t afl_custom_fuzz(void *data, uint8_t *buffer, size_t size, uint8_t **result, uint8_t *other, size_t other_size,
                       size_t max_size) {
  (void)data;
  (void)buffer;
  (void)size;
  (void)other;
  (void)other_size;
  (void)max_size;
  *result = output;
  return sizeof output - 1;
}

void afl_custom_deinit(void *data) { (void)data; }
