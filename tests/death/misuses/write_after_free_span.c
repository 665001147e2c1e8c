// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_span, "a block of many MiB written to after free") {
  char *block = new_block((size_t)5 << 20);
  hak_free(block);
  write_byte(block, 3 << 20, 'y');
  (void)new_block((size_t)5 << 20);
}
