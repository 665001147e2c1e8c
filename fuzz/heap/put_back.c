// SPDX-License-Identifier: Apache-2.0
//
// Layer: heap. Not instrumented.

#include "fuzz/heap/put_back.h"

#include <stdint.h>
#include <string.h>

void heap_put_back(char *bss_begin, const char *bss_end, char *data_begin, const char *data_end, const char *data) {
  memset(bss_begin, 0, (size_t)(bss_end - bss_begin));
  memcpy(data_begin, data, (size_t)(data_end - data_begin));
}

// Not by memset, which sanitizers replace: this memory may be poisoned.
void heap_zero(void *address, size_t bytes) {
  __asm__ volatile("rep stosb" : "+D"(address), "+c"(bytes) : "a"(0) : "memory");
}

bool heap_is_zero(const void *address, size_t bytes) {
  typedef uint64_t vector __attribute__((vector_size(32), aligned(8), may_alias));
  const vector *next = address, *end = (const vector *)((const char *)address + bytes);
  for (; next < end; next += 2) {
    vector both = next[0] | next[1];
    if ((both[0] | both[1] | both[2] | both[3]) != 0) return false;
  }
  return true;
}
