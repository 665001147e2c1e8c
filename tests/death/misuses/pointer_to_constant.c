// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_to_constant, "free of a string constant") { hak_free(opaque("a string constant")); }
