// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(check_heap_quarantined, "hak_check_heap: a write to a block in quarantine") {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, 50, 'y');
  expect_whole_heap();
}
