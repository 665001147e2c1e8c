// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_large_after_growing, "one byte written behind a large block that realloc grew") {
  char *block = hak_realloc(new_block(100000), 200000);
  write_byte(block, 200000, 'y');
  hak_free(block);
}
