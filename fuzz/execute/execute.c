// SPDX-License-Identifier: Apache-2.0
//
// From an input to calls. Layer: execute. Not instrumented. Test: fuzz/execute/execute_test.cc, and
// the seeded bugs, which it has to detect.

#include "fuzz/execute/execute.h"

#include "fuzz/op/op_target.h"

#define LIVE_BYTES_MAX ((size_t)2 << 20)

void execute_limit_memory(const struct heap *heap, const struct op_setup *setup) {
  if (setup->address_limit_superslabs != 0) {
    heap->memory->limit = (setup->address_limit_superslabs + 4) * heap->superslab_bytes;
  }
  heap->memory->occupied = setup->occupied;
  heap->memory->occupied_more = setup->occupied_more;
}

void execute_begin(struct execution *execution, const struct heap *first, const struct heap *second,
                   const uint8_t *data, size_t size) {
  const struct heap *heaps[EXECUTE_HEAPS] = {first, second};
  char options[256];
  execution->heaps = second == NULL ? 1 : 2;
  execution->setup = op_read_setup(data, size);
  if (execution->live_bytes_max == 0) execution->live_bytes_max = LIVE_BYTES_MAX;
  execution->same_trace = execution->setup.quarantine_blocks == 0;
  execution->number = 0;
  op_write_options(options, sizeof options, &execution->setup);
  for (size_t i = 0; i < execution->heaps; i++) {
    heaps[i]->reset(options);
    execute_limit_memory(heaps[i], &execution->setup);
    model_begin(&execution->models[i], heaps[i]);
    execution->models[i].alone = true;
  }
}

// Whether a request is for so much that it would cost time and find nothing: more than a block may have here, and yet not
// more than the window.
static bool is_left_out(const struct execution *execution, const struct op *op, const struct op_arguments *arguments) {
  if (op->kind > OP_PAGE_ALLOC) return false;
  size_t window = execution->models[0].heap->window_bytes;
  size_t alignment = arguments->alignment < window ? arguments->alignment : 0;
  if (arguments->bytes > window) return false;
  for (size_t i = 0; i < execution->heaps; i++) {
    if (arguments->bytes + alignment + execution->models[i].live_bytes > execution->live_bytes_max) return true;
  }
  return false;
}

void execute_operation(struct execution *execution, const struct op *op) {
  struct outcome outcomes[EXECUTE_HEAPS];
  struct op_arguments arguments = op_resolve(op);
  execution->number++;
  if (is_left_out(execution, op, &arguments)) return;
  if (op->kind == OP_MISUSE) {
    if (execution->misuse != NULL) execution->misuse(execution, op, &arguments);
    return;
  }
  for (size_t i = 0; i < execution->heaps; i++) {
    oracle_note_operation(execution->number, execution->models[i].heap->name, op_kind_name(op->kind));
    outcomes[i] = call_operation(&execution->models[i], op, &arguments);
  }
  if (execution->heaps == 2) {
    oracle_note_operation(execution->number, "both", op_kind_name(op->kind));
    compare_outcomes(execution, op, outcomes);
  }
}

void execute_program(struct execution *execution, const uint8_t *data, size_t size) {
  struct op_cursor cursor;
  struct op op;
  op_cursor_begin(&cursor, data, size);
  while (op_next(&cursor, &op)) {
    if (execution->operations_max != 0 && execution->number == execution->operations_max) return;
    if (execution->before != NULL) execution->before(execution, &op);
    execute_operation(execution, &op);
  }
}

void execute_end(struct execution *execution) {
  for (size_t i = 0; i < execution->heaps; i++) {
    struct model *model = &execution->models[i];
    oracle_note_operation(execution->number + 1, model->heap->name, "end");
    model->heap->memory->fail_kinds = 0;
    for (unsigned slot = slot_first(&model->live); slot < MODEL_SLOTS; slot = slot_next(&model->live, slot)) {
      model_verify_usable(model, slot);
    }
    model_check_statistics(model);
    model_check_calls(model);
    for (unsigned slot = slot_first(&model->live); slot < MODEL_SLOTS; slot = slot_next(&model->live, slot)) {
      call_free(model, slot);
    }
    model_check_drained(model, execution->setup.schedule_seed % 2 != 0);
  }
}

void execute_input(struct execution *execution, const struct heap *first, const struct heap *second,
                   const uint8_t *data, size_t size) {
  execute_begin(execution, first, second, data, size);
  execute_program(execution, data, size);
  execute_end(execution);
}
