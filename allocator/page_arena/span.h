// SPDX-License-Identifier: Apache-2.0
//
// Spans: whole superslabs in a row, taken from and given back to the window. Layer: page_arena; internal to it.
// Every function needs the page arena's lock.

#ifndef ALLOCATOR_PAGE_ARENA_SPAN_H_
#define ALLOCATOR_PAGE_ARENA_SPAN_H_

#include "allocator/page_arena/superslab.h"

HAK_BEGIN_DECLARATIONS
// count superslabs, readable and writable, the first at a multiple of alignment (a power of two, at least a superslab).
// Their states are up to the caller. NULL if there is no memory; nothing has changed then.
HAK_INTERNAL struct superslab *span_take(size_t count, size_t alignment);
// The count superslabs that follow a span, where they can be had.
HAK_INTERNAL bool span_extend(struct superslab *first, size_t old_count, size_t count);
// Gives count superslabs from first on back to the window. Their memory may be dirty: they know.
HAK_INTERNAL void span_give(struct superslab *first, size_t count);
// Gives the addresses of one free superslab back to the operating system, where address space is limited.
// False if they stay.
HAK_INTERNAL bool span_unmap(struct superslab *superslab);
// The same for every free superslab that is not dirty. Returns their bytes.
HAK_INTERNAL size_t span_unmap_clean(void);
// The superslab after this one; it exists wherever a span goes on.
HAK_INTERNAL struct superslab *span_next(const struct superslab *superslab);
// Whether a superslab that is not in use has memory.
HAK_INTERNAL bool span_is_mapped(const struct superslab *superslab);
// Superslabs mapped now.
HAK_INTERNAL size_t span_mapped_superslabs(void);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_PAGE_ARENA_SPAN_H_
