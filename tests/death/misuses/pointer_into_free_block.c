// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_into_free_block, "free of a pointer into a block that is free") {
  char *block = new_block(100);
  hak_free(block);
  hak_free(block + 16);
}
