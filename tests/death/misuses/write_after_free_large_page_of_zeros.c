// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

// Pages of 4 KiB, and the block begins 64 bytes behind one.
LIMIT(write_after_free_large_page_of_zeros, "a page of a large block overwritten with zeros throughout after free") {
  char *block = new_block(100000);
  hak_free(block);
  for (int i = 0; i < 4096; i++) write_byte(block, 5 * 4096 - 64 + i, 0);
  hak_trim(0);
}
