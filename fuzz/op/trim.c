// SPDX-License-Identifier: Apache-2.0
//
// Trimming by whole operations. Layer: op, above program.h; allocates nothing, has no state of its own.
// Test: mutator_afl_test.cc.

#include "fuzz/op/trim.h"

// The last run has one operation; a run is half of the one before. From a sixteenth of the operations on, as AFL++ does.
static size_t first_run(size_t count) {
  size_t run = 1;
  while (run * 16 < count) run *= 2;
  return run;
}

size_t trim_begin(struct trim *trim, const uint8_t *data, size_t size) {
  program_read(&trim->program, data, size, OP_INPUT_MAX);
  size_t count = trim->program.count;
  bool whole = size == OP_HEADER_BYTES + count * OP_BYTES;
  trim->step = 0;
  trim->position = 0;
  trim->run = whole ? first_run(count) : 0;
  trim->steps = whole ? 0 : 1;
  if (size <= OP_HEADER_BYTES) return trim->steps = 0;
  for (size_t run = first_run(count); count > 0 && run > 0; run /= 2) trim->steps += (count + run - 1) / run;
  if (trim->steps > TRIM_STEPS_MAX) trim->steps = TRIM_STEPS_MAX;
  return trim->steps;
}

size_t trim_next(struct trim *trim, uint8_t *output) {
  trim->smaller = trim->program;
  size_t left = trim->program.count - trim->position;
  size_t run = trim->run < left ? trim->run : left;
  if (run > 0) program_remove(&trim->smaller, trim->position, run);
  return program_write(&trim->smaller, output);
}

size_t trim_end_step(struct trim *trim, bool as_good) {
  if (trim->run == 0) {
    trim->run = first_run(trim->program.count);
  } else if (as_good) {
    trim->program = trim->smaller;
  } else {
    trim->position += trim->run;
  }
  if (trim->position >= trim->program.count) {
    trim->position = 0;
    trim->run /= 2;
    if (trim->run == 0 || trim->program.count == 0) return trim->steps;
  }
  trim->step++;
  return trim->step < trim->steps ? trim->step : trim->steps;
}
