// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

// Neither static nor ending with the call: the report must name them.
void *traced_allocate(size_t size);
void traced_free(void *block);

__attribute__((noinline)) void *traced_allocate(size_t size) {
  void *block = hak_malloc(size);
  return opaque(block);
}

__attribute__((noinline)) void traced_free(void *block) {
  hak_free(block);
  __asm__ volatile("" ::: "memory");
}

MISUSE_WITH(double_free_with_stacks, "freed twice, with the stacks recorded", "box_stacks=8") {
  // Those of a block that comes from a list, and of one for which the thread's list is filled first.
  hak_free(traced_allocate(100));
  void *block = traced_allocate(100);
  traced_free(block);
  traced_free(block);
}
