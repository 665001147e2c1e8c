// SPDX-License-Identifier: Apache-2.0
//
// Each variant alone while the system refuses memory calls, again and again: the header's schedule says which. Purges are
// refused too, also halfway.

#include "fuzz/execute/execute.h"
#include "fuzz/targets/target.h"

// The same faults for the same header, whatever the operations are.
static uint32_t mix(uint32_t seed, size_t number) {
  uint64_t word = (seed + 1) * 0x9E3779B97F4A7C15u + number * 0xD1342543DE82EF95u;
  return (uint32_t)((word ^ word >> 31) * 0x94D049BB133111EBu >> 32);
}

static void arm(struct execution *execution, struct op *op) {
  const struct op_setup *setup = &execution->setup;
  struct fake_memory_state *memory = execution->models[0].heap->memory;
  uint32_t chance = mix(setup->schedule_seed, execution->number);
  (void)op;
  // With more points, more often; every other time what was refused is granted again.
  if (chance % 16 >= setup->schedule_points) return;
  memory->fail_kinds = (chance >> 4) % (FAKE_ALL + 1);
  memory->fail_after = (chance >> 8) % 4;
  memory->fail_count = (chance >> 10) % 8 == 0 ? SIZE_MAX : (chance >> 10) % 8;
  memory->purge_mode = (enum fake_purge_mode)((chance >> 16) % FAKE_PURGE_MODES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct execution execution;
  execution.before = arm;
  execute_input(&execution, heap_direct_small(), NULL, data, size);
  execute_input(&execution, heap_box_small(), NULL, data, size);
  return 0;
}
