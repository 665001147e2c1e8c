// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(free_sized_of_interior_pointer, "free_sized of a pointer into a block") {
  hak_free_sized(new_block(100) + 16, 84);
}
