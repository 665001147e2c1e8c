// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(check_heap_free_memory, "hak_check_heap: a write to memory in which nothing is in use") {
  char *block = new_block(60000);
  hak_free(block);
  hak_trim(0);
  write_byte(block, 1000, 'y');
  expect_whole_heap();
}
