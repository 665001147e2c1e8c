// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(underflow_aligned_large, "a byte written far before a large block with an alignment of a page") {
  char *block = opaque(hak_aligned_alloc(4096, 100000));
  write_byte(block, -4096, 'y');
  hak_free(block);
}
