// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(double_free_after_allocations, "freed again after blocks were allocated") {
  char *block = new_block(100);
  hak_free(block);
  for (int i = 0; i < 3; i++) (void)new_block(300);
  hak_free(block);
}
