// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(double_free_at_once, "freed twice in a row") {
  char *block = new_block(100);
  hak_free(block);
  hak_free(block);
}
