// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(header_of_free_block, "the header byte of a free block overwritten by that of a live one, and freed again") {
  char *block = new_block(100);
  int header = read_byte(block, -1);
  hak_free(block);
  write_byte(block, -1, header);
  hak_free(block);
}
