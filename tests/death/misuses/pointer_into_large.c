// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_into_large, "free of a pointer into a large block") { hak_free(new_block(100000) + 4096); }
