// SPDX-License-Identifier: Apache-2.0
//
// An input taken apart, for who changes it: operations inserted, removed and moved, the slots that are in use at a place,
// and the random numbers that changes are drawn from. Layer: op, above op.h; used by the mutators only.

#ifndef FUZZ_OP_PROGRAM_H_
#define FUZZ_OP_PROGRAM_H_

#include "fuzz/op/op.h"

#ifdef __cplusplus
extern "C" {
#endif

struct program {
  uint8_t header[OP_HEADER_BYTES];
  size_t count, max;  // operations; at most OP_COUNT_MAX
  struct op ops[OP_COUNT_MAX];
};

// max_size is the most bytes that the program may have, at least OP_HEADER_BYTES; what does not fit is left out.
void program_read(struct program *program, const uint8_t *data, size_t size, size_t max_size);
// Returns how many bytes were written: the header and whole operations.
size_t program_write(const struct program *program, uint8_t *data);

// Inserts operations before the one at position. If there is no room for all of them, the last ones are left out. False if
// there is none at all.
bool program_insert(struct program *program, size_t position, const struct op *ops, size_t count);
void program_remove(struct program *program, size_t position, size_t count);
// What is moved is before the operation that is at position to now, or at the end.
void program_move(struct program *program, size_t from, size_t to);

// Whether a kind fills its slot; realloc does, too. Whether it empties its slot, if it has one alone.
bool op_kind_allocates(unsigned kind);
bool op_kind_frees(unsigned kind);

// The slots as they are before the operation at position, as far as can be told without running: all allocations succeed.
enum slot_state { SLOT_UNUSED, SLOT_LIVE, SLOT_FREED };

struct program_slots {
  uint8_t state[OP_SLOTS];  // enum slot_state
  uint8_t live[OP_SLOTS], freed[OP_SLOTS];
  size_t live_count, freed_count;
};

void program_find_slots(const struct program *program, size_t position, struct program_slots *slots);

// Random numbers: the same from the same seed everywhere.
struct random {
  uint64_t state;
};

void random_begin(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);
// From 0 to below - 1; 0 if below is 0.
size_t random_below(struct random *random, size_t below);
bool random_percent(struct random *random, unsigned percent);
// An index of weights, each as likely as its weight.
size_t random_weighted(struct random *random, const uint8_t *weights, size_t count);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FUZZ_OP_PROGRAM_H_
