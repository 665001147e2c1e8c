// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_large_whole_pages, "one byte written behind a large block that ends with a page") {
  char *block = new_block(98304 - 64);
  write_byte(block, 98304 - 64, 'y');
  hak_free(block);
}
