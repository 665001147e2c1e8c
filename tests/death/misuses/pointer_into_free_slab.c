// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_into_free_slab, "free of an address in memory of which nothing is in use") {
  char *block = new_block(100);
  hak_free(block);
  hak_trim(0);
  hak_free(block + 16);
}
