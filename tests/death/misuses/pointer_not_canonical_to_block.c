// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_not_canonical_to_block, "free of a block's address with a bit flipped at the top") {
  hak_free(at((uintptr_t)new_block(100) ^ (uintptr_t)1 << 62));
}
