// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(free_sized_with_other_class, "free_sized with a size of another class") { hak_free_sized(new_block(100), 10); }
