// SPDX-License-Identifier: Apache-2.0
//
// The direct variant and the Box, in small slabs, side by side: each against the model, and against each other.

#include "fuzz/execute/execute.h"
#include "fuzz/targets/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct execution execution;
  execute_input(&execution, heap_direct_small(), heap_box_small(), data, size);
  return 0;
}
