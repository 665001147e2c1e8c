// SPDX-License-Identifier: Apache-2.0
//
// Programs with misuse in them, on the Box, whose handler returns: each is reported as what it is and changes nothing. Then
// the direct variant, with the misuse that it promises to notice.

#include "fuzz/execute/execute.h"
#include "fuzz/execute/misuse.h"
#include "fuzz/targets/target.h"

static void run(const struct heap *heap, const uint8_t *data, size_t size) {
  static struct execution execution;
  execution.misuse = misuse_operation;
  execution.before = misuse_expect_none;
  misuse_begin(heap);
  execute_input(&execution, heap, NULL, data, size);
  misuse_end(&execution);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  run(heap_box_small(), data, size);
  run(heap_direct_small(), data, size);
  return 0;
}
