// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_large_after_shrinking, "one byte written behind a large block that realloc shrank") {
  char *block = hak_realloc(new_block(200000), 150000);
  write_byte(block, 150000, 'y');
  hak_free(block);
}
