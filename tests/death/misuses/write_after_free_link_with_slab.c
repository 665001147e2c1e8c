// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_link_with_slab, "the link of a free block overwritten: found with the slab") {
  char *neighbour = new_block(100), *block = new_block(100);
  hak_free(block);
  hak_trim(0);
  write_byte(block, 1, ~read_byte(block, 1));
  hak_free(neighbour);
  hak_trim(0);
}
