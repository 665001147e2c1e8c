// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(overflow_into_block_never_used, "a byte written into the next block, which was never handed out") {
  write_byte(new_block(100), 112, 'x');
  use_blocks(10, 100);
}
