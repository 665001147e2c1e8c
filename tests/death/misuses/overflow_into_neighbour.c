// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_into_neighbour, "200 bytes written into a block of 100") {
  char *block = new_block(100), *next = new_block(100);
  for (int i = 0; i < 200; i++) write_byte(block, i, 'y');
  hak_free(next);
  hak_free(block);
}
