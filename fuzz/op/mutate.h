// SPDX-License-Identifier: Apache-2.0
//
// Changes inputs by whole operations. The same arguments give the same result. What is written is always a header and whole
// operations, at most max_size bytes; max_size must be at least OP_HEADER_BYTES, and more than OP_INPUT_MAX is as that. An
// input need not be whole operations. Layer: op, above op.h and program.h; allocates nothing, has no state.

#ifndef FUZZ_OP_MUTATE_H_
#define FUZZ_OP_MUTATE_H_

#include "fuzz/op/op.h"

#ifdef __cplusplus
extern "C" {
#endif

// Changes the size bytes at data, where there is room for max_size, and returns how many there are then. other is an input
// to take operations from, which may be of size 0.
size_t op_mutate(uint8_t *data, size_t size, size_t max_size, const uint8_t *other, size_t other_size, uint64_t seed);

// Writes a program made of two to output, which must be neither of them. Returns its bytes.
size_t op_crossover(const uint8_t *first, size_t first_size, const uint8_t *second, size_t second_size, uint8_t *output,
                    size_t max_size, uint64_t seed);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FUZZ_OP_MUTATE_H_
