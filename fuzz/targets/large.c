// SPDX-License-Identifier: Apache-2.0
//
// Large and aligned blocks in production's slabs, both variants side by side: every size is one that no class serves, or is
// near the greatest that one does.

#include "fuzz/execute/execute.h"
#include "fuzz/op/op_target.h"
#include "fuzz/targets/target.h"

#define LIVE_BYTES_MAX ((size_t)24 << 20)

static void make_large(struct execution *execution, struct op *op) {
  (void)execution;
  op_make_large(op);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct execution execution;
  execution.before = make_large;
  execution.operations_max = OP_LARGE_OPERATIONS_MAX;
  execution.live_bytes_max = LIVE_BYTES_MAX;
  execute_input(&execution, heap_direct(), heap_box(), data, size);
  return 0;
}
