// SPDX-License-Identifier: Apache-2.0
//
// Compiled with the prefix of another build of hakmem than the one under test.

#include "hakmem/hakmem.h"

void *other_variant_block(size_t size);
void *other_variant_block(size_t size) { return hak_malloc(size); }
