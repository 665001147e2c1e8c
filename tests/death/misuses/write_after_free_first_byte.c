// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_first_byte, "the first byte written after free: found when the block is used again") {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, 0, 'y');
  use_blocks(300, 100);
  use_blocks(300, 100);
}
