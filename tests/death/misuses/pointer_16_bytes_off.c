// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_16_bytes_off, "free of a pointer 16 bytes off, which is aligned") { hak_free(new_block(100) + 16); }
