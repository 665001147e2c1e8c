// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_1, "free((void *)1)") {
  hak_free(new_block(100));
  hak_free(at(1));
}
