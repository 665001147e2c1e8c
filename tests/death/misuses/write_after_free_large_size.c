// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_large_size, "written after free of a small block of 30000 bytes") {
  char *block = new_block(30000);
  hak_free(block);
  write_byte(block, 20000, 'y');
  use_blocks(100, 30000);
  use_blocks(100, 30000);
}
