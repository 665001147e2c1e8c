// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(check_heap_large_free, "hak_check_heap: a write to a large block in quarantine") {
  char *block = new_block(100000);
  hak_free(block);
  write_byte(block, 50000, 'y');
  expect_whole_heap();
}
