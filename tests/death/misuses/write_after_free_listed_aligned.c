// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE_WITH(write_after_free_listed_aligned, "an aligned block in a free list written to", "box_quarantine_blocks=0") {
  char *block = hak_aligned_alloc(256, 1000);
  hak_free(block);
  write_byte(block, 500, 'y');
  hak_free(hak_aligned_alloc(256, 1000));
}
