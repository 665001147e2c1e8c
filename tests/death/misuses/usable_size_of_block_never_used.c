// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(usable_size_of_block_never_used, "malloc_usable_size of a block that was never handed out") {
  (void)hak_usable_size(new_block(100) + 112);
}
