// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(check_heap_large_slack, "hak_check_heap: a byte behind a large block") {
  char *block = new_block(100000);
  write_byte(block, 100000, 'y');
  expect_whole_heap();
}
