// SPDX-License-Identifier: Apache-2.0
//
// A library whose constructor allocates a block that the program takes over, and whose destructor allocates and frees.

#include "check.h"

void *early_library_block(size_t *size);

static void *block;
static const size_t block_size = 777;

__attribute__((constructor(101))) static void allocate_first(void) {
  block = allocate_block(block_size);
  free_block(allocate_block(100000), 100000);
}

__attribute__((destructor)) static void allocate_last(void) { free_block(allocate_block(block_size), block_size); }

void *early_library_block(size_t *size) {
  *size = block_size;
  return block;
}
