// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_then_trim, "the first byte written after free: found by hak_trim") {
  char *neighbour = new_block(100), *block = new_block(100);
  hak_free(block);
  write_byte(block, 0, 'y');
  hak_trim(0);
  hak_free(neighbour);
}
