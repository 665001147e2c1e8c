// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(free_sized_large_with_wrong_size, "free_sized of a large block with a wrong size") {
  hak_free_sized(new_block(100000), 100001);
}
