// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

static void *write_late(void *unused) {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, 0, 'y');
  return unused;
}

MISUSE(write_after_free_then_thread_ends, "the first byte written after free: found when the thread ends") {
  run_in_thread(write_late, NULL);
}
