// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(double_free_after_others, "freed again after other blocks were freed") {
  char *block = new_block(100), *others[10];
  for (int i = 0; i < 10; i++) others[i] = new_block(100);
  hak_free(block);
  for (int i = 0; i < 10; i++) hak_free(others[i]);
  hak_free(block);
}
