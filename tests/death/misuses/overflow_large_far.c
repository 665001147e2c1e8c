// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_large_far, "a byte written pages behind a large block") {
  char *block = new_block(70000);
  write_byte(block, 90000, 'y');
  hak_free(block);
}
