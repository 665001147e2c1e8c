// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(header_of_free_block_then_trim, "the header byte of a free block overwritten: found with the slab") {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, -1, 0);
  hak_trim(0);
}
