// SPDX-License-Identifier: Apache-2.0
//
// Makes an input smaller step by step, by whole operations, while something else tells whether it is as good as before:
//
//     steps = trim_begin(&trim, data, size);
//     for (step = 0; step < steps; step = trim_end_step(&trim, as_good)) size = trim_next(&trim, smaller);
//
// First what is behind the last whole operation goes, then runs of operations, from a sixteenth of them down to single ones.
// Layer: op, above program.h; allocates nothing.

#ifndef FUZZ_OP_TRIM_H_
#define FUZZ_OP_TRIM_H_

#include "fuzz/op/program.h"

#ifdef __cplusplus
extern "C" {
#endif

// What AFL++'s own trimming does at most.
#define TRIM_STEPS_MAX 1024

struct trim {
  struct program program, smaller;
  size_t step, steps;
  size_t run, position;  // what the next step leaves out; run 0: nothing but what is no operation
};

// Returns how many steps there are at most; 0 if there is nothing to leave out. All of size counts, but only what is a
// program is kept.
size_t trim_begin(struct trim *trim, const uint8_t *data, size_t size);
// Writes what is to be tried, at most OP_INPUT_MAX bytes, and returns their number.
size_t trim_next(struct trim *trim, uint8_t *output);
// Returns the number of the next step, or that of all steps if nothing is left to do.
size_t trim_end_step(struct trim *trim, bool as_good);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FUZZ_OP_TRIM_H_
