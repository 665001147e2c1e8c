// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(header_of_quarantined_block_zero,
       "the header byte of a free block overwritten, in a program that has one block at a time") {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, -1, 0);
  for (int i = 0; i < 300; i++) use_blocks(1, 100);
}
