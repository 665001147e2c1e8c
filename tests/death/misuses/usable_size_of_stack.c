// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(usable_size_of_stack, "malloc_usable_size of a variable on the stack") {
  _Alignas(16) char variable[64];
  (void)hak_usable_size(opaque(variable));
}
