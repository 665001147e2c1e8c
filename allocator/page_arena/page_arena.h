// SPDX-License-Identifier: Apache-2.0
//
// The page arena: runs of slabs inside superslabs, spans of whole superslabs, and when either goes back to the operating
// system. Layer: page_arena. Currency: the run, by its first slab. Every function may be called from any thread, and
// takes the page arena's lock itself; none may be called with it held.

#ifndef ALLOCATOR_PAGE_ARENA_PAGE_ARENA_H_
#define ALLOCATOR_PAGE_ARENA_PAGE_ARENA_H_

#include "allocator/page_arena/registry.h"

struct page_arena_statistics {
  size_t large_blocks;  // and their bytes: usable, and in their runs and spans
  size_t large_usable_bytes;
  size_t large_bytes;
  size_t dirty_bytes;
  size_t mapped_bytes;
  size_t metadata_bytes;
  size_t purged_bytes;
};

HAK_BEGIN_DECLARATIONS
// Must have returned true before any other function of this layer is called. May be called more than once, after a
// failure too, but not concurrently.
HAK_INTERNAL bool page_arena_initialize(void);

// A run of slabs (1 to HAK_SUPERSLAB_SLABS) for blocks of a size class, or for one large block (class 0).
// *zeroed says whether its memory is known to be all zero. NULL if there is no memory. With the Box the registry does not know
// the class of the run until the caller, who makes the records, calls registry_set_class.
HAK_INTERNAL struct slab *page_arena_take_run(unsigned slabs, unsigned size_class, bool *zeroed);
// Gives a run back. Its memory may be purged from now on.
HAK_INTERNAL void page_arena_give_run(struct slab *run);
// Makes a run longer where the slabs behind it are free, or shorter. False if it stays as it is.
HAK_INTERNAL bool page_arena_resize_run(struct slab *run, unsigned slabs);

// The same for whole superslabs, whose first lies at a multiple of alignment (a power of two).
HAK_INTERNAL struct superslab *page_arena_take_span(size_t superslabs, size_t alignment);
// Makes a span that was just taken read as zero where it is not known to. Only what lies before offset + size, which is
// in its last superslab, becomes resident.
HAK_INTERNAL void page_arena_zero_span(struct superslab *span, size_t offset, size_t size);
HAK_INTERNAL void page_arena_give_span(struct superslab *span);
HAK_INTERNAL bool page_arena_resize_span(struct superslab *span, size_t superslabs);

// Purges what is due, a little at a time. Called, with no lock held, by whoever takes or gives much memory.
HAK_INTERNAL void page_arena_tick(void);
// Purges everything, due or not. Returns the bytes given back.
HAK_INTERNAL size_t page_arena_purge_all(void);

// Large blocks are counted by those who know them.
HAK_INTERNAL void page_arena_count_large(ptrdiff_t blocks, ptrdiff_t usable_bytes, ptrdiff_t bytes);
HAK_INTERNAL void page_arena_read_statistics(struct page_arena_statistics *statistics);

// For hak_check_heap: the slabs of a superslab that nobody uses, and that have memory. The caller holds the layer's locks.
HAK_INTERNAL uint32_t page_arena_free_slabs(const struct superslab *superslab);

// For fork: holds the layer's locks.
HAK_INTERNAL void page_arena_lock_all(void);
HAK_INTERNAL void page_arena_unlock_all(void);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_PAGE_ARENA_PAGE_ARENA_H_
