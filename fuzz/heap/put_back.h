// SPDX-License-Identifier: Apache-2.0
//
// Puts the variables and the memory of a variant back, past every sanitizer. Layer: heap.

#ifndef FUZZ_HEAP_PUT_BACK_H_
#define FUZZ_HEAP_PUT_BACK_H_

#include <stdbool.h>
#include <stddef.h>

// In a file of its own: the compiler would take variables that nobody points to for unchanged.
void heap_put_back(char *bss_begin, const char *bss_end, char *data_begin, const char *data_end, const char *data);

void heap_zero(void *address, size_t bytes);
// bytes is a multiple of 256.
bool heap_is_zero(const void *address, size_t bytes);

#endif  // FUZZ_HEAP_PUT_BACK_H_
