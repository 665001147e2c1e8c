// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(underflow_small, "one byte written before a small block") {
  char *block = new_block(100);
  write_byte(block, -1, 'y');
  hak_free(block);
}
