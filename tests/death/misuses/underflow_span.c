// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(underflow_span, "one byte written before a block of many MiB") {
  char *block = new_block((size_t)5 << 20);
  write_byte(block, -1, 'y');
  hak_free(block);
}
