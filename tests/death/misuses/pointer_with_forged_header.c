// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_with_forged_header, "free of a pointer into a block, behind a byte that looks like a header") {
  char *block = new_block(100);
  block[31] = (char)read_byte(block, -1);
  hak_free(block + 32);
}
