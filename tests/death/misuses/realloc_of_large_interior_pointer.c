// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(realloc_of_large_interior_pointer, "realloc of a pointer into a large block") {
  (void)!hak_realloc(new_block(100000) + 4096, 200000);
}
