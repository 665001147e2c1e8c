// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(double_free_large_after_trim, "a large block freed again after hak_trim") {
  char *block = new_block(100000);
  hak_free(block);
  hak_trim(0);
  hak_free(block);
}
