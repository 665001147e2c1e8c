// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

// Pages of 4 KiB, and the block begins 64 bytes behind one.
LIMIT(overflow_large_page_of_zeros, "a page behind a large block overwritten with zeros throughout") {
  char *block = new_block(70000);
  for (int i = 0; i < 4096; i++) write_byte(block, 20 * 4096 - 64 + i, 0);
  hak_free(block);
}
