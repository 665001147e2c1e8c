// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(header_ff, "the header byte overwritten by 0xff") {
  char *block = new_block(100);
  write_byte(block, -1, 0xff);
  hak_free(block);
}
