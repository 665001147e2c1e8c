// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(header_as_if_free, "the header byte overwritten by that of a free block") {
  char *block = new_block(100);
  write_byte(block, -1, read_byte(block, -1) | 0x40);
  hak_free(block);
}
