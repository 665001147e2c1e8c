// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(free_aligned_sized_of_malloc, "free_aligned_sized of a block of malloc") {
  hak_free_aligned_sized(new_block(100), 64, 100);
}
