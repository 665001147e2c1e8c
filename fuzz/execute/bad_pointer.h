// SPDX-License-Identifier: Apache-2.0
//
// Pointers that no call may be given, and blocks that were damaged; what has to be reported of them. Layer: execute. Not
// instrumented.

#ifndef FUZZ_EXECUTE_BAD_POINTER_H_
#define FUZZ_EXECUTE_BAD_POINTER_H_

#include "fuzz/execute/execute.h"

#ifdef __cplusplus
extern "C" {
#endif

struct bad_pointer {
  char *user;      // NULL: there is none in this state of the heap
  uint32_t kinds;  // a bit for each enum hak_misuse_kind that it may be reported as
  // The live block that the report has to name, and where in it; NULL: none.
  const struct model_block *block;
  ptrdiff_t offset;
  // What the call says of the block and what would be right; 0 for others.
  size_t given, expected;
  // A byte that is changed for the call, and what it becomes; NULL: none is.
  uint8_t *byte;
  uint8_t value;
};

// A mask for bad_pointer.kinds; HAK_MISUSE_NONE ends the kinds.
uint32_t bad_pointer_kinds(const enum hak_misuse_kind *kinds);
#define BAD_POINTER_KINDS(...) bad_pointer_kinds((const enum hak_misuse_kind[]){__VA_ARGS__, HAK_MISUSE_NONE})

// For the first five kinds of misuse: a pointer that is not to be given back. The direct variant may only be given what it
// promises to notice; where this one is not, there is none.
struct bad_pointer bad_pointer_find(const struct model *model, unsigned misuse, unsigned slot, int delta);
// For an underflow and an overflow: a block of the Box with a byte changed that is not its own.
struct bad_pointer bad_pointer_damage(const struct model *model, unsigned misuse, unsigned slot, int delta);

#ifdef __cplusplus
}
#endif

#endif  // FUZZ_EXECUTE_BAD_POINTER_H_
