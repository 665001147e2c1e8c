// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE_WITH(write_after_free_listed_link, "the link of a block in a free list overwritten", "box_quarantine_blocks=0") {
  char *block = new_block(100), *other = new_block(100);
  hak_free(other);
  hak_free(block);
  write_byte(block, 3, ~read_byte(block, 3));
  use_blocks(2, 100);
}
