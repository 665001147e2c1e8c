// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_8_bytes_off, "free of a pointer 8 bytes off") { hak_free(new_block(100) + 8); }
