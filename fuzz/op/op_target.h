// SPDX-License-Identifier: Apache-2.0
//
// What the fuzz targets make of their inputs, where that is more than to execute the operations as they lie there: for the
// targets and for the printer, so that what is printed is what is executed. Layer: op; calls op.h and stdio.

#ifndef FUZZ_OP_OP_TARGET_H_
#define FUZZ_OP_OP_TARGET_H_

#include "fuzz/op/op.h"

#ifdef __cplusplus
extern "C" {
#endif

enum op_target {
  OP_TARGET_NONE,  // not known: a program as it lies there
  OP_TARGET_DIFFERENTIAL,
  OP_TARGET_FAULTS,
  OP_TARGET_LARGE,
  OP_TARGET_MISUSE,
  OP_TARGET_OPTIONS,
  OP_TARGET_SIZE_CLASS,
  OP_TARGET_THREADS,
  OP_TARGETS,
};

// The name in fuzz/targets.bzl.
const char *op_target_name(enum op_target target);
// OP_TARGET_NONE if there is none of this name.
enum op_target op_target_of(const char *name);

// Whether OP_MISUSE is what op.h says. The others leave it out, but for threads, where two threads free the slot at once.
bool op_target_does_misuse(enum op_target target);

// large: an allocation is of one of the sizes from 24 KiB on. These take long each, so it executes few.
#define OP_LARGE_OPERATIONS_MAX 96
void op_make_large(struct op *op);

// threads: with an odd seed most sizes are of three classes, and slots of 32.
void op_make_narrow(struct op *op, uint32_t schedule_seed);

// options: a text up to the first zero byte, then a program.
#define OP_OPTIONS_TEXT_MAX 512
// Copies the text, and returns where the program begins.
size_t op_read_options_text(const uint8_t *data, size_t size, char text[OP_OPTIONS_TEXT_MAX + 1]);

// size_class: requests of 4 bytes, and no program. Those of an even number of bytes are for small slabs.
#define OP_REQUEST_BYTES 4
#define OP_REQUESTS_MAX 64
#define OP_REQUEST_BLOCKS_MAX 3
#define OP_REQUEST_OPTIONS "box_quarantine_kib=0"
struct op_request {
  size_t size;
  size_t alignment;  // 0: by malloc
  unsigned count;    // of blocks
};
size_t op_request_count(size_t size);
struct op_request op_read_request(const uint8_t *data, size_t index);

// A set-up as the text of HAKMEM_OPTIONS.
void op_write_options(char *text, size_t bytes, const struct op_setup *setup);

// An input of any target that is a program, or ends with one.
struct op_input {
  char options[OP_OPTIONS_TEXT_MAX + 1];  // what it runs with
  const uint8_t *data;                    // the program
  size_t size;
  struct op_setup setup;
  size_t operations_max;
};
struct op_input op_read_input(enum op_target target, const uint8_t *data, size_t size);
// An operation of it, as the target executes it.
void op_make(enum op_target target, const struct op_setup *setup, struct op *op);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FUZZ_OP_OP_TARGET_H_
