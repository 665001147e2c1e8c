// SPDX-License-Identifier: Apache-2.0
//
// Large blocks: everything above the last size class or with an alignment that no class has. Up to a superslab they are
// runs, beyond that spans. They have no header; all about them is in the registry. Layer: page_arena.

#ifndef ALLOCATOR_PAGE_ARENA_LARGE_BLOCK_H_
#define ALLOCATOR_PAGE_ARENA_LARGE_BLOCK_H_

#include <stdbool.h>
#include <stddef.h>

#include "allocator/base/seeded_bug.h"
#include "allocator/page_arena/superslab.h"

// Where a large block lies. Exactly one of run and span is set.
struct large_place {
  struct slab *run;
  struct superslab *span;
  uintptr_t start;  // of the run or span
  size_t bytes;     // of it
  size_t offset;    // of the user pointer
};

HAK_BEGIN_DECLARATIONS
// size bytes at a multiple of alignment (a power of two), all zero if zero is set. NULL if there is no memory.
HAK_INTERNAL void *large_block_allocate(size_t size, size_t alignment, bool zero);
// The usable bytes of the large block that begins at user; 0 if none does, also if one is only near or around it.
HAK_INTERNAL size_t large_block_usable(const void *user);
// Frees the large block that begins at user. False if there is none.
HAK_INTERNAL bool large_block_free(void *user);
// Changes the size without copying, where it can be done: in place, or by moving pages. Returns where the block is then,
// or NULL if it is unchanged. The block must exist.
HAK_INTERNAL void *large_block_resize(void *user, size_t size);
// Makes a block smaller that has to stay where it is, for want of memory for a small one. False if the Box would have no
// room for its guard behind it: the block is unchanged then. The block must exist.
HAK_INTERNAL bool large_block_keep(void *user, size_t size);

// For the Box.

// The large block, live or in quarantine, whose run or span holds an address. False if there is none.
HAK_INTERNAL bool large_block_find(uintptr_t address, struct large_place *place);
// The same in free memory: the block that was there last, where that is still known.
HAK_INTERNAL bool large_block_find_freed(uintptr_t address, struct large_place *place);
HAK_INTERNAL struct block_record *large_block_record(const struct large_place *place);
// The first byte before the block, or behind its requested size, that was written to; 0 if none was.
HAK_INTERNAL uintptr_t large_block_check_front(const struct large_place *place);
HAK_INTERNAL uintptr_t large_block_check_slack(const struct large_place *place);
HAK_END_DECLARATIONS

HAK_INLINE uintptr_t large_block_address(const struct large_place *place) { return place->start + place->offset; }
HAK_INLINE size_t large_block_capacity(const struct large_place *place) {
  return place->bytes - (HAK_SEED_BUG_IF(49, place->offset != 0) ? 0 : place->offset);
}

#endif  // ALLOCATOR_PAGE_ARENA_LARGE_BLOCK_H_
