// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(check_heap_slack, "hak_check_heap: a byte behind the requested size") {
  char *block = new_block(100);
  write_byte(block, 100, 'y');
  expect_whole_heap();
}
