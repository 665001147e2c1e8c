// SPDX-License-Identifier: Apache-2.0
//
// Filling and looking at blocks. Layer: model. Not instrumented. Test: fuzz/model/contents_test.cc.

#include "fuzz/model/contents.h"

#include <stdbool.h>
#include <string.h>

// Blocks up to this size are filled as a whole.
#define WHOLE ((size_t)1024)
// Of longer ones, so many bytes at each end,
#define EDGE ((size_t)256)
// and words between: of small blocks many, at places that differ from block to block,
#define DENSE ((size_t)32768)
#define DENSE_STEP ((size_t)512)
// of large ones one after each so many bytes, or so many words.
#define STEP ((size_t)8192)
#define STEPS ((size_t)64)
// Zeroes are looked for in so many pages as a whole; of more, at both ends and in so many between, or twice as many.
#define PAGE ((size_t)4096)
#define ZERO_WHOLE (STEPS * PAGE)

static uint64_t word_at(uint64_t key, size_t offset) {
  uint64_t word = (key + offset) * 0x9E3779B97F4A7C15u;
  return word ^ word >> 29;
}

// The bytes from begin to end of the endless contents of a key. begin is a multiple of 8.
static void fill_range(char *block, size_t begin, size_t end, uint64_t key) {
  size_t offset = begin;
  for (; offset + sizeof(uint64_t) <= end; offset += sizeof(uint64_t)) {
    uint64_t word = word_at(key, offset);
    memcpy(block + offset, &word, sizeof word);
  }
  uint64_t word = word_at(key, offset);
  if (offset < end) memcpy(block + offset, &word, end - offset);
}

static size_t first_difference(const char *bytes, uint64_t word, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (bytes[i] != ((const char *)&word)[i]) return i;
  }
  return CONTENTS_RIGHT;
}

static size_t wrong_in_range(const char *block, size_t begin, size_t end, uint64_t key) {
  size_t offset = begin;
  uint64_t is = 0;
  for (; offset + sizeof is <= end; offset += sizeof is) {
    uint64_t word = word_at(key, offset);
    memcpy(&is, block + offset, sizeof is);
    if (is != word) return offset + first_difference(block + offset, word, sizeof is);
  }
  size_t wrong = first_difference(block + offset, word_at(key, offset), end > offset ? end - offset : 0);
  return wrong == CONTENTS_RIGHT ? wrong : offset + wrong;
}

struct range {
  size_t begin, end;
};

// Where the words between the ends begin, and how far they are apart.
static struct range words_between(size_t bytes, uint64_t key) {
  const size_t words = ~(sizeof(uint64_t) - 1);
  if (bytes <= DENSE) return (struct range){EDGE + (key >> 32) % DENSE_STEP & words, DENSE_STEP};
  size_t step = bytes / STEP > STEPS ? bytes / STEPS & words : STEP;
  return (struct range){step, step};
}

// The parts of a block of so many bytes that are written, in ascending order; number 0 and on. An empty one ends them.
static struct range part(size_t bytes, uint64_t key, size_t number) {
  if (bytes <= WHOLE) return (struct range){0, number == 0 ? bytes : 0};
  if (number == 0) return (struct range){0, EDGE};
  size_t tail = (bytes - EDGE) & ~(sizeof(uint64_t) - 1);
  struct range words = words_between(bytes, key);
  size_t step = words.end, begin = words.begin + (number - 1) * step;
  if (begin + sizeof(uint64_t) <= tail) return (struct range){begin, begin + sizeof(uint64_t)};
  bool is_tail = number == 1 || begin - step + sizeof(uint64_t) <= tail;
  return is_tail ? (struct range){tail, bytes} : (struct range){0, 0};
}

void contents_fill(char *block, size_t bytes, uint64_t key) {
  for (size_t i = 0;; i++) {
    struct range range = part(bytes, key, i);
    if (range.end == 0) return;
    fill_range(block, range.begin, range.end, key);
  }
}

size_t contents_first_wrong(const char *block, size_t bytes, size_t kept, uint64_t key) {
  for (size_t i = 0;; i++) {
    struct range range = part(bytes, key, i);
    if (range.end == 0 || range.begin >= kept) return CONTENTS_RIGHT;
    size_t wrong = wrong_in_range(block, range.begin, range.end < kept ? range.end : kept, key);
    if (wrong != CONTENTS_RIGHT) return wrong;
  }
}

static size_t not_zero_in_range(const char *block, size_t begin, size_t end) {
  static const char zeroes[PAGE];
  for (size_t offset = begin; offset < end; offset += PAGE) {
    size_t bytes = end - offset < PAGE ? end - offset : PAGE;
    if (memcmp(block + offset, zeroes, bytes) == 0) continue;
    for (size_t i = 0; i < bytes; i++) {
      if (block[offset + i] != 0) return offset + i;
    }
  }
  return CONTENTS_RIGHT;
}

size_t contents_first_not_zero(const char *block, size_t bytes) {
  if (bytes <= ZERO_WHOLE) return not_zero_in_range(block, 0, bytes);
  size_t step = bytes / STEPS & ~(PAGE - 1), wrong = CONTENTS_RIGHT;
  for (size_t offset = 0; wrong == CONTENTS_RIGHT && offset + PAGE < bytes; offset += step) {
    wrong = not_zero_in_range(block, offset, offset + PAGE);
  }
  return wrong != CONTENTS_RIGHT ? wrong : not_zero_in_range(block, bytes - PAGE, bytes);
}
