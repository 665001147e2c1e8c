// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(free_aligned_sized_large_with_wrong_alignment, "free_aligned_sized of a large block with a wrong alignment") {
  hak_free_aligned_sized(hak_aligned_alloc(4096, 100000), 8192, 100000);
}
