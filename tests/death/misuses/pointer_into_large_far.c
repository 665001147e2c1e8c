// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_into_large_far, "free of a pointer far into a large block, at the start of a slab") {
  uintptr_t block = (uintptr_t)new_block(300000);
  hak_free(at((block | 0xffff) + 1));
}
