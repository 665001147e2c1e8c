// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_minus_16, "free((void *)-16)") { hak_free(at(-(uintptr_t)16)); }
