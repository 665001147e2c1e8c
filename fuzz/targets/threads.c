// SPDX-License-Identifier: Apache-2.0
//
// Several threads on one heap, whose interleaving is in the input: the direct variant, then the Box.

#include "fuzz/execute/threads.h"
#include "fuzz/targets/target.h"

// A fork of the one runs the other's handlers too: they find nothing of an input before.
static void execute(const struct heap *heap, const uint8_t *data, size_t size) {
  (void)threads_input(heap, data, size);
  heap->reset("");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  execute(heap_direct_small(), data, size);
  execute(heap_box_small(), data, size);
  return 0;
}
