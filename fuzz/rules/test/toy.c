// SPDX-License-Identifier: Apache-2.0
//
// A fuzz target with a planted crash, for the tests of the rules: an input that begins with "FUZZ!" aborts.

#include <stdint.h>
#include <stddef.h>
#include <stdlib.h>

#include "fuzz/rules/test/toy_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 0 && data[0] == 'F') {
    if (size > 1 && data[1] == 'U') {
      if (size > 2 && data[2] == 'Z') {
        if (size > 3 && data[3] == 'Z') {
          if (size > 4 && data[4] == '!') abort();
        }
      }
    }
  }
  return toy_model_sum(data, size) < 0;
}
