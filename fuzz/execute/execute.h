// SPDX-License-Identifier: Apache-2.0
//
// Runs a program of fuzz/op on one heap or on two at once, each against a model of its own, and the two against each other.
// Layer: execute; calls op, model and heap. Not instrumented.

#ifndef FUZZ_EXECUTE_EXECUTE_H_
#define FUZZ_EXECUTE_EXECUTE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fuzz/heap/heap.h"
#include "fuzz/model/model.h"
#include "fuzz/op/op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EXECUTE_HEAPS 2

// What a call of one heap came to.
struct outcome {
  bool allocated;  // a block is in the slot
  int error;       // errno, or what posix_memalign returned; 0 where a block was wanted and given
  size_t refused;  // memory calls that were refused meanwhile
  bool crowded;    // the window may have no room for the block, or only after a trim
  bool lingers;    // a thread ended that goes on without a cache
};

struct execution {
  size_t heaps;
  struct model models[EXECUTE_HEAPS];
  struct op_setup setup;
  size_t operations_max;  // 0: as many as the input has
  size_t live_bytes_max;  // a request that would bring more than this is left out
  bool same_trace;  // both heaps hand out the same blocks: no memory call was refused, and nothing is in quarantine
  size_t number;    // of the operation, for messages
  // For operations that are a target's own, OP_MISUSE above all; NULL: they are left out.
  void (*misuse)(struct execution *execution, const struct op *op, const struct op_arguments *arguments);
  // Asked before each operation; NULL: nothing to do.
  void (*before)(struct execution *execution, struct op *op);
};

// Resets the heaps (the second may be NULL) to what the input's header says.
void execute_begin(struct execution *execution, const struct heap *first, const struct heap *second,
                   const uint8_t *data, size_t size);
// Executes the whole input.
void execute_program(struct execution *execution, const uint8_t *data, size_t size);
void execute_operation(struct execution *execution, const struct op *op);
// Frees what is live, and looks at the heaps for the last time.
void execute_end(struct execution *execution);

// What the target's source files are linked with: begin, program, end.
void execute_input(struct execution *execution, const struct heap *first, const struct heap *second,
                   const uint8_t *data, size_t size);

// Inside: a set-up, as what the memory calls of a heap say.
void execute_limit_memory(const struct heap *heap, const struct op_setup *setup);
// Inside: one call on one heap.
struct outcome call_operation(struct model *model, const struct op *op, const struct op_arguments *arguments);
void call_free(struct model *model, unsigned slot);
// Inside: holds the outcomes of both heaps against each other, and makes the heaps alike again where they may differ.
void compare_outcomes(struct execution *execution, const struct op *op, const struct outcome *outcomes);

#ifdef __cplusplus
}
#endif

#endif  // FUZZ_EXECUTE_EXECUTE_H_
