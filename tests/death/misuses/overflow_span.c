// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_span, "one byte written behind a block of many MiB") {
  char *block = new_block((size_t)5 << 20);
  write_byte(block, 5 << 20, 'y');
  hak_free(block);
}
