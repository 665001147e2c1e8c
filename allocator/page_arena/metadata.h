// SPDX-License-Identifier: Apache-2.0
//
// Memory for the allocator's own records: superslabs, thread records. It is never given back; whoever takes it keeps
// free ones in a list of its own. Layer: page_arena.

#ifndef ALLOCATOR_PAGE_ARENA_METADATA_H_
#define ALLOCATOR_PAGE_ARENA_METADATA_H_

#include <stddef.h>

#include "allocator/base/compiler.h"

HAK_BEGIN_DECLARATIONS
// bytes of zeroes, aligned to a cache line; NULL if there is no memory. Takes a lock of its own.
HAK_INTERNAL void *metadata_allocate(size_t bytes);
// Bytes taken so far.
HAK_INTERNAL size_t metadata_bytes(void);
HAK_INTERNAL void metadata_lock(void);
HAK_INTERNAL void metadata_unlock(void);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_PAGE_ARENA_METADATA_H_
