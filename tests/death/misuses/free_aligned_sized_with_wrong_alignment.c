// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(free_aligned_sized_with_wrong_alignment, "free_aligned_sized with a wrong alignment") {
  hak_free_aligned_sized(hak_aligned_alloc(64, 100), 128, 100);
}
