// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_1_byte_off, "free of a pointer 1 byte off") { hak_free(new_block(100) + 1); }
