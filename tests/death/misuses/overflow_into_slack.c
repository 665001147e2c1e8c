// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_into_slack, "one byte written behind the requested size, where the size class has room") {
  char *block = new_block(100);
  write_byte(block, 100, 'y');
  hak_free(block);
}
