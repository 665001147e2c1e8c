// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(realloc_to_zero_of_free_block, "realloc to zero bytes of a block that is free") {
  char *block = new_block(100);
  hak_free(block);
  (void)!hak_realloc(block, 0);
}
