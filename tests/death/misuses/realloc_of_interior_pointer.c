// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(realloc_of_interior_pointer, "realloc of a pointer into a block") {
  (void)!hak_realloc(new_block(100) + 16, 200);
}
