// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_of_zero_bytes, "a byte written to a block of zero bytes") {
  char *block = new_block(0);
  write_byte(block, 0, 'y');
  hak_free(block);
}
