// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

// Neither static nor ending with the call: the report must name them.
void *traced_large_allocate(size_t size);
void traced_large_free(void *block);

__attribute__((noinline)) void *traced_large_allocate(size_t size) {
  void *block = hak_malloc(size);
  return opaque(block);
}

__attribute__((noinline)) void traced_large_free(void *block) {
  hak_free(block);
  __asm__ volatile("" ::: "memory");
}

MISUSE_WITH(double_free_large_with_stacks, "a large block freed twice, with the stacks recorded", "box_stacks=8") {
  void *block = traced_large_allocate(100000);
  traced_large_free(block);
  traced_large_free(block);
}
