// SPDX-License-Identifier: Apache-2.0

#include <string.h>

#include "tests/death/misuse.h"

CONTROL(control_realloc, "blocks that grow and shrink") {
  for (size_t step = 1; step < 100000; step *= 5) {
    char *block = NULL;
    for (size_t size = 1; size < 5000000; size += size / 3 + step) {
      block = hak_realloc(block, size);
      EXPECT(block != NULL);
      memset(block, 'z', size);
    }
    for (size_t size = 5000000; size > 0; size = size * 3 / 5) {
      block = hak_realloc(block, size);
      EXPECT(block != NULL);
      memset(block, 'z', size);
    }
    EXPECT(hak_realloc(block, 0) == NULL);
  }
  EXPECT(hak_check_heap(NULL) == 0);
}
