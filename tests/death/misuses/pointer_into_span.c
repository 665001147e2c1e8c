// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_into_span, "free of a pointer into a block of many MiB") {
  hak_free(new_block((size_t)10 << 20) + (5 << 20));
}
