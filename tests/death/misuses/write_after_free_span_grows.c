// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_span_grows,
       "a block of many MiB written to after free: found when realloc grows its neighbour") {
  char *block = new_block((size_t)5 << 20), *next = new_block((size_t)5 << 20);
  EXPECT(next > block);
  hak_free(next);
  write_byte(next, 50000, 'y');
  (void)!hak_realloc(block, (size_t)10 << 20);
}
