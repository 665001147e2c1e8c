// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(free_sized_of_stack, "free_sized of a variable on the stack") {
  _Alignas(16) char variable[64];
  hak_free_sized(opaque(variable), sizeof variable);
}
