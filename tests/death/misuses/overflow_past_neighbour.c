// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

LIMIT(overflow_past_neighbour, "a byte written into the middle of the next block, past what lies between") {
  char *block = new_block(100), *next = new_block(100);
  write_byte(block, next - block + 50, 'y');
  hak_free(next);
  hak_free(block);
}
