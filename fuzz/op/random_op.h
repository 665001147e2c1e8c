// SPDX-License-Identifier: Apache-2.0
//
// New operations that make sense at a place of a program: they free what is live there, use the sizes that the program
// uses, and so on. Layer: op, above op.h and program.h; used by mutate.c.

#ifndef FUZZ_OP_RANDOM_OP_H_
#define FUZZ_OP_RANDOM_OP_H_

#include "fuzz/op/program.h"

// An operation for the place where the slots are as told.
struct op random_op(struct random *random, const struct program *program, const struct program_slots *slots);
// One of a certain kind.
struct op random_op_of(struct random *random, const struct program *program, const struct program_slots *slots,
                       unsigned kind);

// The size that an allocation asks for: mostly of a class, and often of one that the program uses already.
void random_size(struct random *random, const struct program *program, struct op *op);
// A small step away from a boundary.
int8_t random_delta(struct random *random);
uint8_t random_live_slot(struct random *random, const struct program_slots *slots);
// One that is not in use, if there is one.
uint8_t random_free_slot(struct random *random, const struct program_slots *slots);
// A kind that allocates, as often as programs use it.
unsigned random_allocation(struct random *random);
// How often an allocation of this size is to be made so that a slab, a chain or a cache is just full, or just not; at
// least 1 and at most 255.
unsigned random_burst(struct random *random, const struct op *allocation);
// A small number mostly.
size_t random_small(struct random *random, size_t most);

#endif  // FUZZ_OP_RANDOM_OP_H_
