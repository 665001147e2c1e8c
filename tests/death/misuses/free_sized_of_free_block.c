// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(free_sized_of_free_block, "free_sized of a block that is free") {
  char *block = new_block(100);
  hak_free(block);
  hak_free_sized(block, 100);
}
