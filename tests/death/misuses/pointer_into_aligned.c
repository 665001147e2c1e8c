// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_into_aligned, "free of a pointer into an aligned block") {
  char *block = hak_aligned_alloc(256, 1000);
  hak_free(block + 256);
}
