// SPDX-License-Identifier: Apache-2.0
//
// A fuzz target that nothing but its custom mutator can make fail. The comparison is of one hash, which gives nothing away.

#include <stdint.h>
#include <stddef.h>
#include <stdlib.h>

#include "fuzz/rules/test/toy_secret.h"

static uint64_t hash(const uint8_t *data, size_t size) {
  uint64_t value = 14695981039346656037u;
  for (size_t i = 0; i < size; i++) value = (value ^ data[i]) * 1099511628211u;
  return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (hash(data, size) == hash((const uint8_t *)TOY_SECRET, sizeof TOY_SECRET - 1)) abort();
  return 0;
}
