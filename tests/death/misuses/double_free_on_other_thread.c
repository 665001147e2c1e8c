// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

static void *free_it(void *block) {
  hak_free(block);
  return NULL;
}

MISUSE(double_free_on_other_thread, "freed again by another thread") {
  char *block = new_block(100);
  hak_free(block);
  run_in_thread(free_it, block);
}
