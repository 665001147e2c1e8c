// SPDX-License-Identifier: Apache-2.0
//
// malloc and free as they are inlined into every entry point that allocates or frees. Layer: api; internal to it.

#ifndef ALLOCATOR_API_MALLOC_INLINE_H_
#define ALLOCATOR_API_MALLOC_INLINE_H_

#include "allocator/page_arena/registry.h"
#include "allocator/thread_cache/thread_cache.h"

HAK_BEGIN_DECLARATIONS
// What is left of malloc and free where the fast path ends. free_slowly keeps errno.
HAK_INTERNAL void *malloc_slowly(size_t size);
HAK_INTERNAL void free_slowly(void *user);
// A block from below the thread's lists. Where there is none, everything cached is given back and it is tried once more.
// NULL if there is no memory then. errno may change.
HAK_INTERNAL void *allocate_large(size_t size, size_t alignment, bool zero);
HAK_INTERNAL void *allocate_of_class(unsigned size_class);
// hak_trim where that may help a request for so many bytes: under a limit, or if so many are mapped. Whether it gave back
// anything.
HAK_INTERNAL bool trim_for(size_t bytes);
HAK_END_DECLARATIONS

HAK_INLINE void *malloc_inline(size_t size) {
  if (HAK_UNLIKELY(size > HAK_SMALL_MAX)) return malloc_slowly(size);
  struct block *block = thread_cache_pop(size_class_of(size));
  if (HAK_UNLIKELY(block == NULL)) return malloc_slowly(size);
  return user_of_block(block);
}

HAK_INLINE void free_inline(void *user) {
  size_t slab = registry_slab_number((uintptr_t)user);
  if (HAK_UNLIKELY(slab >= REGISTRY_READ(slab_count))) {
    free_slowly(user);
    return;
  }
  size_t size_class = registry.slab_class[slab];
  if (HAK_UNLIKELY(!thread_cache_push(size_class, block_of_user(user)))) free_slowly(user);
}

#endif  // ALLOCATOR_API_MALLOC_INLINE_H_
