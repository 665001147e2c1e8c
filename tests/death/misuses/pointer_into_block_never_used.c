// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_into_block_never_used, "free of a pointer into a block that was never handed out") {
  hak_free(new_block(100) + 112 + 32);
}
