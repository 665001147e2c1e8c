// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

static void *free_it(void *block) {
  hak_free(block);
  return NULL;
}

MISUSE(double_free_after_thread_ended, "freed again after the thread that freed it has ended") {
  char *block = new_block(100);
  run_in_thread(free_it, block);
  hak_free(block);
}
