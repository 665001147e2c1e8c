// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(header_other_class, "the header byte overwritten by that of another size class") {
  char *block = new_block(100);
  write_byte(block, -1, read_byte(new_block(1000), -1));
  hak_free(block);
}
