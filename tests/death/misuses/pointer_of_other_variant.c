// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

MISUSE(pointer_of_other_variant, "free of a block of another build of hakmem in the program") {
  hak_free(new_block(100));
  hak_free(opaque(other_variant_block(100)));
}
