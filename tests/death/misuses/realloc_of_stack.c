// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(realloc_of_stack, "realloc of a variable on the stack") {
  _Alignas(16) char variable[64];
  (void)!hak_realloc(opaque(variable), 200);
}
