// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE_WITH(write_after_free_listed, "a block in a free list written to", "box_quarantine_blocks=0") {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, 50, 'y');
  use_blocks(1, 100);
}
