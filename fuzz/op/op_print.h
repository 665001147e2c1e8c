// SPDX-License-Identifier: Apache-2.0
//
// Inputs for people to read: as a list, and as a C program that makes the same calls. What a target makes of its inputs is
// op_target.h's to say; a program that is of none is printed as it lies there. Layer: op; calls op.h, op_target.h and stdio.

#ifndef FUZZ_OP_OP_PRINT_H_
#define FUZZ_OP_OP_PRINT_H_

#include <stdio.h>

#include "fuzz/op/op_target.h"

#ifdef __cplusplus
extern "C" {
#endif

// One operation, without a newline: "slot 3 = calloc(16, 9)   # 144 bytes".
void op_print_operation(const struct op *op, FILE *output);
// The same, and what becomes of misuse in a target that does none.
void op_print_operation_of(enum op_target target, const struct op *op, FILE *output);
// HAKMEM_OPTIONS=..., as bash takes it.
void op_print_options(const char *text, FILE *output);
// The set-up, and one operation a line, as they lie in the input: the numbers are those of op_cursor's index.
void op_print_list(enum op_target target, const uint8_t *data, size_t size, FILE *output);
// The operations as they are executed, repetitions unrolled, each with its number, and index and round in the input.
void op_print_executed(enum op_target target, const uint8_t *data, size_t size, FILE *output);
// A complete C program for any malloc. What plain calls cannot do, such as failing memory, is a comment there, and is named in
// the comment that it begins with. Misuse that is a plain call is made with hakmem.
void op_print_c(enum op_target target, const uint8_t *data, size_t size, FILE *output);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FUZZ_OP_OP_PRINT_H_
