// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(double_free_of_largest_small, "the largest small block freed twice") {
  char *block = new_block(32768);
  hak_free(block);
  hak_free(block);
}
