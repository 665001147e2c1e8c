// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_last_byte, "the last usable byte written after free: found when the block is used again") {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, 110, 'y');
  use_blocks(300, 100);
  use_blocks(300, 100);
}
