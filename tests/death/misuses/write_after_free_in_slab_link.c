// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_in_slab_link, "the link of a free block overwritten after it went back to its slab") {
  char *neighbour = new_block(100), *block = new_block(100);
  hak_free(block);
  hak_trim(0);
  write_byte(block, 1, ~read_byte(block, 1));
  use_blocks(300, 100);
  hak_free(neighbour);
}
