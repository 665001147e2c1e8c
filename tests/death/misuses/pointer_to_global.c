// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

static _Alignas(16) char variable[64];

MISUSE(pointer_to_global, "free of a global variable") {
  hak_free(new_block(100));
  hak_free(opaque(variable));
}
