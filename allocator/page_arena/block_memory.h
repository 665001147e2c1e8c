// SPDX-License-Identifier: Apache-2.0
//
// For the Box: filling a small block's memory, and looking whether it is still filled. Every free and every malloc of the Box
// does this, on blocks of any size in any order; so what is short is done without a branch that depends on the size, which
// would be mispredicted (docs/performance.md). Layer: page_arena. No state.

#ifndef ALLOCATOR_PAGE_ARENA_BLOCK_MEMORY_H_
#define ALLOCATOR_PAGE_ARENA_BLOCK_MEMORY_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "allocator/base/config.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/page_arena/free_memory.h"

#define HAK_FILL_WORD (UINT64_MAX / 0xFF * HAK_FILL)
// 16 bytes at any address.
typedef uint64_t block_vector __attribute__((vector_size(16), aligned(1), may_alias));
#define BLOCK_VECTOR ((ptrdiff_t)16)
// What is at most so long is covered by that many vectors; those that are too many fall on the last one.
#define BLOCK_VECTORS 17
#define BLOCK_SHORT (BLOCK_VECTORS * BLOCK_VECTOR)

HAK_INLINE ptrdiff_t block_vector_offset(ptrdiff_t number, ptrdiff_t last) {
  return number * BLOCK_VECTOR < last ? number * BLOCK_VECTOR : last;
}

HAK_INLINE void block_memory_fill(void *user, size_t bytes) {
  const block_vector fill = {HAK_FILL_WORD, HAK_FILL_WORD};
  if (!HAK_BOX_FILLS) return;
  if (HAK_UNLIKELY(bytes < BLOCK_VECTOR || bytes > BLOCK_SHORT)) {
    memset(user, HAK_FILL, bytes);
    return;
  }
  for (ptrdiff_t i = 0; i < BLOCK_VECTORS; i++) {
    *(block_vector *)((char *)user + block_vector_offset(i, (ptrdiff_t)bytes - BLOCK_VECTOR)) = fill;
  }
}

HAK_INLINE bool block_memory_is_filled(const void *from, size_t bytes) {
  const block_vector fill = {HAK_FILL_WORD, HAK_FILL_WORD};
  if (!HAK_BOX_FILLS) return true;
  if (HAK_UNLIKELY(bytes < BLOCK_VECTOR || bytes > BLOCK_SHORT)) {
    return free_memory_check_fill((uintptr_t)from, bytes) == 0;
  }
  block_vector different = {0, 0};
  for (ptrdiff_t i = 0; i < BLOCK_VECTORS; i++) {
    ptrdiff_t offset = block_vector_offset(i, (ptrdiff_t)bytes - BLOCK_VECTOR);
    different |= *(const block_vector *)((const char *)from + offset) ^ fill;
  }
  return (different[0] | different[1]) == 0;
}

// Whether the slack bytes in front of end are filled. Mostly they are few: up to 16 are looked at without a branch.
HAK_INLINE bool block_memory_slack_is_filled(const char *end, size_t slack) {
  uint64_t upper, lower;
  if (!HAK_BOX_FILLS) return true;
  if (HAK_UNLIKELY(slack > 2 * sizeof upper)) return block_memory_is_filled(end - slack, slack);
  // 16 bytes before end are the block's, and its header, also in the smallest class.
  memcpy(&upper, end - sizeof upper, sizeof upper);
  memcpy(&lower, end - 2 * sizeof lower, sizeof lower);
  unsigned __int128 different = (unsigned __int128)(upper ^ HAK_FILL_WORD) << 64 | (lower ^ HAK_FILL_WORD);
  // The upper slack bytes are the last ones.
  return slack == 0 || different >> (128 - 8 * slack) >> (HAK_SEED_BUG(51) ? 8 : 0) == 0;
}

#endif  // ALLOCATOR_PAGE_ARENA_BLOCK_MEMORY_H_
