// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_behind_last_block, "free of the address behind the last block of a slab") {
  uintptr_t last = (uintptr_t)new_block(40), block;
  while ((block = (uintptr_t)new_block(40)) >> 16 == last >> 16) last = block;
  hak_free(at(last + 48));
}
