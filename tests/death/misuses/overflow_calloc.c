// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_calloc, "one byte written behind a block of calloc") {
  char *block = hak_calloc(10, 10);
  write_byte(block, 100, 'y');
  hak_free(block);
}
