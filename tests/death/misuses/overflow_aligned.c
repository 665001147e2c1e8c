// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_aligned, "one byte written behind an aligned block") {
  char *block = hak_aligned_alloc(256, 1000);
  write_byte(block, 1000, 'y');
  hak_free(block);
}
