// SPDX-License-Identifier: Apache-2.0

#include <stdlib.h>

#include "tests/death/misuse.h"

MISUSE(double_free_in_pool, "freed again when it had gone to the shared pool") {
  enum { COUNT = 1000 };
  char **others = calloc(COUNT, sizeof *others), *block = new_block(100);
  for (int i = 0; i < COUNT; i++) others[i] = new_block(100);
  hak_free(block);
  for (int i = 0; i < COUNT; i++) hak_free(others[i]);
  free(others);
  hak_free(block);
}
