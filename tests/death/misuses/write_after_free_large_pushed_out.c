// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_large_pushed_out, "a large block written to in quarantine: found when others push it out") {
  char *block = new_block(100000);
  hak_free(block);
  write_byte(block, 50000, 'y');
  use_blocks(10, 100000);
}
