// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_before_first_block, "free of the start of a slab") {
  hak_free(at((uintptr_t)new_block(100) & ~(uintptr_t)0xffff));
}
