// SPDX-License-Identifier: Apache-2.0
//
// Large and aligned blocks in production's slabs, both variants side by side: every size is one that no class serves, or is
// near the greatest that one does.

#include "fuzz/execute/execute.h"
#include "fuzz/targets/target.h"

#define LEAST ((size_t)24 << 10)
// These take long each.
#define OPERATIONS_MAX 96
#define LIVE_BYTES_MAX ((size_t)24 << 20)

static struct {
  uint8_t selectors[UINT8_MAX + 1];
  unsigned count;
} large;

static void find_selectors(void) {
  for (unsigned i = 0; i <= UINT8_MAX; i++) {
    if (op_size((uint8_t)i, 0) >= LEAST) large.selectors[large.count++] = (uint8_t)i;
  }
}

static void make_large(struct execution *execution, struct op *op) {
  (void)execution;
  if (op->kind <= OP_PAGE_ALLOC) op->selector = large.selectors[op->selector % large.count];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct execution execution;
  if (large.count == 0) find_selectors();
  execution.before = make_large;
  execution.operations_max = OPERATIONS_MAX;
  execution.live_bytes_max = LIVE_BYTES_MAX;
  execute_input(&execution, heap_direct(), heap_box(), data, size);
  return 0;
}
