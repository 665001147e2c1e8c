// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_large, "a large block written to after free: found by hak_trim") {
  char *block = new_block(100000);
  hak_free(block);
  write_byte(block, 50000, 'y');
  hak_trim(0);
}
