// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_without_slack, "one byte written behind a block that its size class is full of") {
  char *block = new_block(111), *next = new_block(111);
  EXPECT(next == block + 112);
  write_byte(block, 111, 'y');
  hak_free(block);
  hak_free(next);
}
