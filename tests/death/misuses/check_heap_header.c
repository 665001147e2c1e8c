// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(check_heap_header, "hak_check_heap: an overwritten header") {
  char *block = new_block(100);
  write_byte(block, -1, 'y');
  expect_whole_heap();
}
