// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(write_after_free_large_used_again, "a large block written to after it left the quarantine") {
  char *block = new_block(100000), *others[10];
  for (int i = 0; i < 10; i++) others[i] = new_block(100000);
  hak_free(block);
  for (int i = 0; i < 10; i++) hak_free(others[i]);
  write_byte(block, 50000, 'y');
  for (int i = 0; i < 20; i++) (void)new_block(100000);
}
