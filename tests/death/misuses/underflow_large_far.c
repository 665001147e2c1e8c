// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(underflow_large_far, "a byte written 64 bytes before a large block") {
  char *block = new_block(100000);
  write_byte(block, -64, 'y');
  hak_free(block);
}
