// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_16, "free((void *)16)") {
  hak_free(new_block(100));
  hak_free(at(16));
}
