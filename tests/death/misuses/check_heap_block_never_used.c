// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(check_heap_block_never_used, "a byte of a block that was never handed out overwritten") {
  write_byte(new_block(100), 112, 'x');
  expect_whole_heap();
}
