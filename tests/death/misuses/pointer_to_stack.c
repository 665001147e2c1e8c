// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_to_stack, "free of a variable on the stack") {
  _Alignas(16) char variable[64];
  hak_free(opaque(variable));
}
