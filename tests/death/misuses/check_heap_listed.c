// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE_WITH(check_heap_listed, "hak_check_heap: a write to a block in a free list", "box_quarantine_blocks=0") {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, 50, 'y');
  expect_whole_heap();
}
