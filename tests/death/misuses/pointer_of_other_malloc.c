// SPDX-License-Identifier: Apache-2.0

#include <stdlib.h>

#include "tests/death/misuse.h"

MISUSE(pointer_of_other_malloc, "free of a block of the C library's malloc") {
  hak_free(new_block(100));
  hak_free(opaque(malloc(100)));
}
