// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE_WITH(header_of_listed_block_zero,
            "the header byte of a free block overwritten, without a quarantine: found when it is used again",
            "box_quarantine_blocks=0") {
  char *block = new_block(100);
  hak_free(block);
  write_byte(block, -1, 0);
  use_blocks(1, 100);
}
