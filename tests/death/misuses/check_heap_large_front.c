// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(check_heap_large_front, "hak_check_heap: a byte before a large block") {
  char *block = new_block(100000);
  write_byte(block, -1, 'y');
  expect_whole_heap();
}
