// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

LIMIT(write_beside_blocks, "a byte written far behind a block, where no block has been yet") {
  char *block = new_block(5000), *last = block;
  for (int i = 0; i < 3; i++) last = new_block(5000);
  write_byte(last, 20000, 'y');
  hak_free(block);
  for (int i = 0; i < 100; i++) (void)new_block(5000);
}
