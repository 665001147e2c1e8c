// SPDX-License-Identifier: Apache-2.0
//
// Filling and checking free memory. Layer: page_arena; calls os. No lock. Test: tests/unit/free_memory_test.cc.

#include "allocator/page_arena/free_memory.h"

#include <string.h>

#include "allocator/base/config.h"
#include "allocator/os/misuse.h"
#include "allocator/os/os.h"
#include "allocator/page_arena/block_memory.h"

// os_memory_touched answers for so many pages at once.
#define PAGES_AT_ONCE 64

static bool is_touched(uint64_t touched, size_t page) { return (touched >> page & 1) != 0; }

// Calls visit for the touched ones of these whole pages, until it returns something else than 0; returns that.
static uintptr_t visit_touched(uintptr_t address, size_t bytes, uintptr_t (*visit)(uintptr_t page, size_t page_size)) {
  size_t page_size = os_page_size();
  for (size_t left = bytes / page_size; left > 0;) {
    size_t pages = left < PAGES_AT_ONCE ? left : PAGES_AT_ONCE;
    uint64_t touched = os_memory_touched((void *)address, pages);
    for (size_t i = 0; i < pages; i++) {
      uintptr_t found = is_touched(touched, i) ? visit(address + i * page_size, page_size) : 0;
      if (found != 0) return found;
    }
    address += pages * page_size;
    left -= pages;
  }
  return 0;
}

static uintptr_t fill_page(uintptr_t address, size_t page_size) {
  memset((void *)address, HAK_FILL, page_size);
  return 0;
}

void free_memory_fill(uintptr_t address, size_t bytes) {
  if (HAK_BOX_FILLS) visit_touched(address, bytes, fill_page);
}

// The first byte in [address, address + bytes), whole words, that differs from the pattern; 0 if none does.
static uintptr_t find_difference(uintptr_t address, size_t bytes, uint64_t pattern) {
  const uint64_t *words = (const uint64_t *)address;
  for (size_t i = 0; i < bytes / sizeof *words; i++) {
    if (words[i] != pattern) return address + i * sizeof *words + (size_t)__builtin_ctzll(words[i] ^ pattern) / 8;
  }
  return 0;
}

// The pattern that holds longer is the page's.
static uintptr_t check_page(uintptr_t address, size_t page_size) {
  uintptr_t as_zero = find_difference(address, page_size, 0);
  if (as_zero == 0) return 0;
  uintptr_t as_fill = find_difference(address, page_size, HAK_FILL_WORD);
  if (as_fill == 0) return 0;
  return as_zero > as_fill ? as_zero : as_fill;
}

uintptr_t free_memory_check(uintptr_t address, size_t bytes) {
  return HAK_BOX_FILLS ? visit_touched(address, bytes, check_page) : 0;
}

// The first address that the thread found and has not reported: a call takes memory once, unless it fails.
static HAK_THREAD_LOCAL uintptr_t noted;

bool free_memory_take(uintptr_t address, size_t bytes) {
  if (!HAK_BOX_FILLS) return true;
  uintptr_t wrong = free_memory_check(address, bytes);
  if (wrong == 0) return true;
  if (noted == 0) noted = wrong;
  free_memory_fill(address, bytes);
  return false;
}

void free_memory_report_written(void) {
  uintptr_t wrong = HAK_BOX_FILLS ? noted : 0;
  if (HAK_LIKELY(wrong == 0)) return;
  noted = 0;
  misuse_report_pointer(HAK_MISUSE_WRITE_AFTER_FREE, "malloc", (const void *)wrong);
}

static uintptr_t find_other_byte(uintptr_t address, uintptr_t end) {
  for (; address < end; address++) {
    if (*(const uint8_t *)address != HAK_FILL) return address;
  }
  return 0;
}

uintptr_t free_memory_check_fill(uintptr_t address, size_t bytes) {
  const uintptr_t word = sizeof(uint64_t) - 1;
  if (!HAK_BOX_FILLS) return 0;
  uintptr_t end = address + bytes, first_word = (address + word) & ~word, last_word = end & ~word;
  if (first_word >= last_word) return find_other_byte(address, end);
  uintptr_t wrong = find_other_byte(address, first_word);
  if (wrong == 0) wrong = find_difference(first_word, last_word - first_word, HAK_FILL_WORD);
  return wrong != 0 ? wrong : find_other_byte(last_word, end);
}
