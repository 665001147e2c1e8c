// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_before_block, "free of a pointer 16 bytes before the block") {
  (void)new_block(100);
  hak_free(new_block(100) - 16);
}
