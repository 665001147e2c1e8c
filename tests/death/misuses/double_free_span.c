// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(double_free_span, "a block of many MiB freed twice") {
  char *block = new_block((size_t)5 << 20);
  hak_free(block);
  hak_free(block);
}
