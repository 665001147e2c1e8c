// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(usable_size_of_free_block, "malloc_usable_size of a block that is free") {
  char *block = new_block(100);
  hak_free(block);
  (void)hak_usable_size(block);
}
