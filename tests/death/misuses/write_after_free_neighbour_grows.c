// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_neighbour_grows,
       "a large block written to after free: found when realloc grows its neighbour") {
  char *block = new_block(100000), *next = new_block(100000);
  EXPECT(next > block);
  hak_free(next);
  hak_trim(0);
  write_byte(next, 50000, 'y');
  (void)!hak_realloc(block, 250000);
}
