// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(double_free_after_realloc, "the old pointer freed after realloc moved the block") {
  char *block = new_block(100);
  char *moved = hak_realloc(block, 2000);
  EXPECT(moved != NULL && moved != block);
  hak_free(block);
}
