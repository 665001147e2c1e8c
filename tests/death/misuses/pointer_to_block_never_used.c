// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_to_block_never_used, "free of a block that was never handed out") { hak_free(new_block(100) + 112); }
