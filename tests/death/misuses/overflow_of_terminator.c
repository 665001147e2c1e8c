// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_of_terminator, "a string's terminating zero written behind the requested size") {
  char *block = new_block(100);
  write_byte(block, 100, 0);
  hak_free(block);
}
