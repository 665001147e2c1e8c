// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(header_zero, "the header byte overwritten by 0") {
  char *block = new_block(100);
  write_byte(block, -1, 0);
  hak_free(block);
}
