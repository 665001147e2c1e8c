// SPDX-License-Identifier: Apache-2.0

#include "tests/death/misuse.h"

static void *keep;

// Neither static nor ending with the call: the report must name it.
void *traced_leak(size_t size);
__attribute__((noinline)) void *traced_leak(size_t size) {
  void *block = hak_malloc(size);
  return opaque(block);
}

MISUSE_WITH(leaks_with_stacks, "blocks never freed, with the stacks that allocated them", "box_leaks=1,box_stacks=8") {
  keep = traced_leak(100);
  keep = traced_leak(100000);
  hak_free(new_block(100));
}
