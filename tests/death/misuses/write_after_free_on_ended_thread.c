// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

static void *write_late(void *unused) {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, 50, 'y');
  return unused;
}

MISUSE(write_after_free_on_ended_thread,
       "written after free on a thread that ended: found when the block is used again") {
  run_in_thread(write_late, NULL);
  use_blocks(300, 100);
}
