// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(realloc_of_overflown_block, "realloc of a block that was written past") {
  char *block = new_block(100);
  write_byte(block, 100, 'y');
  (void)!hak_realloc(block, 50);
}
