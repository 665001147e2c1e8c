// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_one_at_a_time, "written after free, in a program that has one block at a time") {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, 50, 'y');
  for (int i = 0; i < 300; i++) use_blocks(1, 100);
}
