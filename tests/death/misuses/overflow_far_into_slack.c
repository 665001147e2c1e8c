// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_far_into_slack, "a byte written some bytes behind the requested size") {
  char *block = new_block(97);
  write_byte(block, 110, 'y');
  hak_free(block);
}
