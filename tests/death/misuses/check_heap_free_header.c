// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(check_heap_free_header, "hak_check_heap: the overwritten header of a free block") {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, -1, 'y');
  expect_whole_heap();
}
