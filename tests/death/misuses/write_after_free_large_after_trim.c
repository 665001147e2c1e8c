// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_large_after_trim, "a large block written to after hak_trim gave its pages back") {
  char *block = new_block(100000);
  hak_free(block);
  hak_trim(0);
  write_byte(block, 50000, 'y');
  (void)new_block(100000);
}
