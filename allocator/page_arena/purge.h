// SPDX-License-Identifier: Apache-2.0
//
// When free memory goes back to the operating system. Layer: page_arena; internal to it. Every function needs the page
// arena's lock.

#ifndef ALLOCATOR_PAGE_ARENA_PURGE_H_
#define ALLOCATOR_PAGE_ARENA_PURGE_H_

#include "allocator/page_arena/superslab.h"

HAK_BEGIN_DECLARATIONS
// Notes that a superslab has dirty slabs, from now on. It is purged options.purge_delay_ms later.
HAK_INTERNAL void purge_enqueue(struct superslab *superslab, uint64_t now);
HAK_INTERNAL void purge_dequeue(struct superslab *superslab);
// Purges superslabs whose time has come, at most limit of them; a limit of SIZE_MAX purges all, due or not,
// and where address space is limited gives the addresses of all that is free back.
// Returns the bytes given back.
HAK_INTERNAL size_t purge_due(uint64_t now, size_t limit);
// When the next superslab is due, UINT64_MAX if none is. May be read without the lock.
HAK_INTERNAL uint64_t purge_next_due(void);
// Counts bytes that were purged without the queue.
HAK_INTERNAL void purge_count(size_t bytes);
// Dirty bytes now, and purged bytes since the start.
HAK_INTERNAL size_t purge_dirty_bytes(void);
HAK_INTERNAL size_t purge_total_bytes(void);
// Sets and clears dirty bits, and counts them.
HAK_INTERNAL void purge_mark_dirty(struct superslab *superslab, uint32_t slabs);
HAK_INTERNAL void purge_unmark_dirty(struct superslab *superslab, uint32_t slabs);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_PAGE_ARENA_PURGE_H_
