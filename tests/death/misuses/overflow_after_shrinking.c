// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_after_shrinking, "one byte written behind the new size after realloc shrank the block") {
  char *block = hak_realloc(new_block(100), 80);
  write_byte(block, 80, 'y');
  hak_free(block);
}
