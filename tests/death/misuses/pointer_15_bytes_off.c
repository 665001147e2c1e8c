// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_15_bytes_off, "free of a pointer 15 bytes off") { hak_free(new_block(100) + 15); }
