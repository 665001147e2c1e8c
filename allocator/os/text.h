// SPDX-License-Identifier: Apache-2.0
//
// Text for people and programs, written without allocating and without stdio: warnings, reports, statistics.
// Layer: os. A text belongs to the caller, usually on its stack.

#ifndef ALLOCATOR_OS_TEXT_H_
#define ALLOCATOR_OS_TEXT_H_

#include <stddef.h>
#include <stdint.h>

#include "allocator/base/compiler.h"

#define HAK_STANDARD_ERROR 2

struct text {
  int file_descriptor;
  int error;  // errno of the first failed write, or 0
  size_t length;
  char characters[480];
};

HAK_BEGIN_DECLARATIONS
HAK_INTERNAL void text_begin(struct text *text, int file_descriptor);
HAK_INTERNAL void text_string(struct text *text, const char *string);
HAK_INTERNAL void text_bytes(struct text *text, const char *bytes, size_t count);
HAK_INTERNAL void text_decimal(struct text *text, uint64_t number);
HAK_INTERNAL void text_hexadecimal(struct text *text, uint64_t number);
// Writes what is left. Returns 0, or the errno of the first write that failed.
HAK_INTERNAL int text_end(struct text *text);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_OS_TEXT_H_
