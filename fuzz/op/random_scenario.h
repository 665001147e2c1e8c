// SPDX-License-Identifier: Apache-2.0
//
// Short sequences of operations that bring a heap into a state which single ones hardly come to. Layer: op, above op.h,
// program.h and random_op.h; used by mutate.c.

#ifndef FUZZ_OP_RANDOM_SCENARIO_H_
#define FUZZ_OP_RANDOM_SCENARIO_H_

#include "fuzz/op/program.h"

#define SCENARIO_OPS_MAX 8

// Writes operations for the place where the slots are as told, and may change the header, without which they mean less.
// Returns how many there are.
size_t random_scenario(struct random *random, uint8_t header[OP_HEADER_BYTES], const struct program_slots *slots,
                       struct op ops[SCENARIO_OPS_MAX]);

#endif  // FUZZ_OP_RANDOM_SCENARIO_H_
