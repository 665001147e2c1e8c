// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(header_of_free_block_zero, "the header byte of a free block overwritten: found when it is used again") {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, -1, 0);
  use_blocks(300, 100);
  use_blocks(300, 100);
}
