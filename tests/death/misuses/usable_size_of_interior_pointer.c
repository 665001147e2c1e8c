// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(usable_size_of_interior_pointer, "malloc_usable_size of a pointer into a block") {
  (void)hak_usable_size(new_block(100) + 16);
}
