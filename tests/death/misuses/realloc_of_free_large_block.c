// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(realloc_of_free_large_block, "realloc of a large block that is free") {
  char *block = new_block(100000);
  hak_free(block);
  (void)!hak_realloc(block, 200000);
}
