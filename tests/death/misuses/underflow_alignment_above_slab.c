// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

LIMIT(underflow_alignment_above_slab, "one byte written before a block with an alignment above 64 KiB") {
  (void)new_block(100000);
  char *block = hak_aligned_alloc((size_t)1 << 21, 100000);
  EXPECT(block != NULL);
  write_byte(block, -1, 'y');
  hak_free(block);
}
