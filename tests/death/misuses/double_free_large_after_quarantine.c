// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(double_free_large_after_quarantine, "a large block freed again after it left the quarantine") {
  char *block = new_block(100000), *others[100];
  for (int i = 0; i < 100; i++) others[i] = new_block(100000);
  hak_free(block);
  for (int i = 0; i < 100; i++) hak_free(others[i]);
  hak_free(block);
}
