// SPDX-License-Identifier: Apache-2.0
//
// What blocks are filled with: a word that depends on the block's key and on where it lies in the block, so that bytes of
// another block, or of another place in this one, are noticed. Short blocks are filled to the last byte, long ones at both
// ends and here and there. Layer: model. Not instrumented.

#ifndef FUZZ_MODEL_CONTENTS_H_
#define FUZZ_MODEL_CONTENTS_H_

#include <stddef.h>
#include <stdint.h>

#define CONTENTS_RIGHT SIZE_MAX

#ifdef __cplusplus
extern "C" {
#endif

void contents_fill(char *block, size_t bytes, uint64_t key);
// The first of the first kept bytes that contents_fill(block, bytes, key) wrote and that is not as it was; CONTENTS_RIGHT if
// there is none.
size_t contents_first_wrong(const char *block, size_t bytes, size_t kept, uint64_t key);
// The first byte that is not zero, of those that are looked at; CONTENTS_RIGHT if there is none.
size_t contents_first_not_zero(const char *block, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif  // FUZZ_MODEL_CONTENTS_H_
