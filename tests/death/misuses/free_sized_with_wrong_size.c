// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(free_sized_with_wrong_size, "free_sized with a size of the same class") { hak_free_sized(new_block(100), 101); }
