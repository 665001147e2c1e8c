// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_not_canonical, "free of an address that no program can have") {
  hak_free(new_block(100));
  hak_free(at((uintptr_t)1 << 63));
}
