// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(underflow_large, "one byte written before a large block") {
  char *block = new_block(100000);
  write_byte(block, -1, 'y');
  hak_free(block);
}
