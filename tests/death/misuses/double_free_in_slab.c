// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(double_free_in_slab, "freed again when it had gone back to its slab") {
  char *neighbour = new_block(100), *block = new_block(100);
  hak_free(block);
  hak_trim(0);
  hak_free(block);
  hak_free(neighbour);
}
