// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_of_whole_slab, "written after free when the whole slab had been given back") {
  char *block = new_block(100);
  hak_free(block);
  hak_trim(0);
  write_byte(block, 50, 'y');
  (void)new_block(100);
}
