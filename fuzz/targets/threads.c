// SPDX-License-Identifier: Apache-2.0
//
// Several threads on one heap, whose interleaving is in the input: the direct variant, then the Box.

#include "fuzz/execute/threads.h"
#include "fuzz/targets/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  (void)threads_input(heap_direct_small(), data, size);
  (void)threads_input(heap_box_small(), data, size);
  return 0;
}
