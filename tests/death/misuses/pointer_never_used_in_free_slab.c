// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_never_used_in_free_slab, "free of an address in free memory, where no block has been") {
  char *block = new_block(100);
  hak_free(block);
  hak_trim(0);
  hak_free(block + (size_t)112 * 400);
}
