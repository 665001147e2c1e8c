// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE_WITH(double_free_after_reuse, "freed again after it was handed out again: found at the new owner's free",
            "box_quarantine_blocks=0") {
  char *block = new_block(100);
  hak_free(block);
  char *again = new_block(100);
  EXPECT(again == block);
  hak_free(block);
  hak_free(again);
}
