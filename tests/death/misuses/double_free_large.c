// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(double_free_large, "a large block freed twice") {
  char *block = new_block(100000);
  hak_free(block);
  hak_free(block);
}
