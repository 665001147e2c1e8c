// SPDX-License-Identifier: Apache-2.0
//
// Large blocks: everything above the last size class or with an alignment that no class has. Up to a superslab they are
// runs, beyond that spans. They have no header; all about them is in the registry. Layer: page_arena.

#ifndef ALLOCATOR_PAGE_ARENA_LARGE_BLOCK_H_
#define ALLOCATOR_PAGE_ARENA_LARGE_BLOCK_H_

#include <stdbool.h>
#include <stddef.h>

#include "allocator/base/compiler.h"

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
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_PAGE_ARENA_LARGE_BLOCK_H_
