// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_to_code, "free of a function's address") { hak_free(opaque((void *)(uintptr_t)fail)); }
