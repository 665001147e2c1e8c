// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_realloc, "the old block written to after realloc moved it") {
  char *block = new_block(100);
  char *moved = hak_realloc(block, 2000);
  EXPECT(moved != NULL && moved != block);
  write_byte(block, 50, 'y');
  hak_trim(0);
}
