// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(underflow_aligned, "one byte written before an aligned block") {
  char *block = hak_aligned_alloc(256, 1000);
  write_byte(block, -1, 'y');
  hak_free(block);
}
