// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE_WITH(check_heap_link, "hak_check_heap: an overwritten link of a free list", "box_quarantine_blocks=0") {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, 5, ~read_byte(block, 5));
  expect_whole_heap();
}
