// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(free_sized_of_aligned, "free_sized of a block of aligned_alloc") {
  hak_free_sized(hak_aligned_alloc(64, 100), 100);
}
