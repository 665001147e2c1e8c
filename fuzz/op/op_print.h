// SPDX-License-Identifier: Apache-2.0
//
// Inputs for people to read: as a list, and as a C program that makes the same calls. Layer: op; calls op.h and stdio.

#ifndef FUZZ_OP_OP_PRINT_H_
#define FUZZ_OP_OP_PRINT_H_

#include <stdio.h>

#include "fuzz/op/op.h"

#ifdef __cplusplus
extern "C" {
#endif

// One operation, without a newline: "slot 3 = calloc(16, 9)   # 144 bytes".
void op_print_operation(const struct op *op, FILE *output);
// The set-up, and one operation a line, as they lie in the input: the numbers are those of op_cursor's index.
void op_print_list(const uint8_t *data, size_t size, FILE *output);
// The operations as they are executed, repetitions unrolled, each with its number, and index and round in the input.
void op_print_executed(const uint8_t *data, size_t size, FILE *output);
// A complete C program for any malloc. What plain calls cannot do, such as misuse and failing memory, is a comment there.
void op_print_c(const uint8_t *data, size_t size, FILE *output);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FUZZ_OP_OP_PRINT_H_
