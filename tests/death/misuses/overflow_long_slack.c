// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_long_slack, "a byte written in the middle of much slack") {
  char *block = new_block(16400);
  write_byte(block, 18000, 'y');
  hak_free(block);
}
