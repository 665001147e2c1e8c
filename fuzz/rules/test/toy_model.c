// SPDX-License-Identifier: Apache-2.0
//
// See toy_model.h. Has branches and comparisons for the compiler to instrument.

#include "fuzz/rules/test/toy_model.h"

int toy_model_sum(const uint8_t *data, size_t size) {
  int sum = 0;
  for (size_t i = 0; i < size; i++) {
    if (data[i] > 100) sum += data[i];
    if (sum == 12345) sum = 0;
  }
  return sum;
}
