// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_after_growing, "one byte written behind the new size after realloc grew the block in place") {
  char *block = hak_realloc(new_block(97), 105);
  write_byte(block, 105, 'y');
  hak_free(block);
}
