// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(underflow_aligned_large_far, "a byte written pages before a large block with an alignment of 32 KiB") {
  char *block = opaque(hak_aligned_alloc(32768, 100000));
  write_byte(block, -20000, 'y');
  hak_free(block);
}
