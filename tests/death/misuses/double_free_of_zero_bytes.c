// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(double_free_of_zero_bytes, "a block of zero bytes freed twice") {
  char *block = new_block(0);
  hak_free(block);
  hak_free(block);
}
