// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_of_last_block, "one byte written behind the last block in use of its slab") {
  char *block = new_block(111);
  use_blocks(1, 111);
  write_byte(block, 111, 'y');
  hak_free(block);
}
