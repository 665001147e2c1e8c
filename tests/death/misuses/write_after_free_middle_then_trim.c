// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_middle_then_trim, "a byte in the middle written after free: found by hak_trim with the slab") {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, 50, 'y');
  hak_trim(0);
}
