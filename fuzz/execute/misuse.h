// SPDX-License-Identifier: Apache-2.0
//
// Operations that no program may do, on a heap that must notice them: the right report, nothing changed, and no report
// where there is nothing to report. Layer: execute. Not instrumented.

#ifndef FUZZ_EXECUTE_MISUSE_H_
#define FUZZ_EXECUTE_MISUSE_H_

#include "fuzz/execute/execute.h"

#ifdef __cplusplus
extern "C" {
#endif

// Sets the heap's handler to one that notes reports and returns.
void misuse_begin(const struct heap *heap);
// For execution->misuse, with one heap: the Box, or the direct variant, which is given what it promises to notice.
void misuse_operation(struct execution *execution, const struct op *op, const struct op_arguments *arguments);
// Fails if anything was reported since the last misuse_operation, but for a free block that was damaged and left so. For
// execution->before.
void misuse_expect_none(struct execution *execution, struct op *op);
// After execute_end: every damage was reported.
void misuse_end(struct execution *execution);

#ifdef __cplusplus
}
#endif

#endif  // FUZZ_EXECUTE_MISUSE_H_
