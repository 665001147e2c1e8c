// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(double_free_aligned, "an aligned block freed twice") {
  char *block = hak_aligned_alloc(256, 1000);
  hak_free(block);
  hak_free(block);
}
