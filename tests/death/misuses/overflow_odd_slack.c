// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_odd_slack, "one byte written behind an odd size, with some words of slack") {
  char *block = new_block(1101);
  write_byte(block, 1101, 'y');
  hak_free(block);
}
