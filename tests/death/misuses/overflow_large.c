// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_large, "one byte written behind a large block") {
  char *block = new_block(100000);
  write_byte(block, 100000, 'y');
  hak_free(block);
}
