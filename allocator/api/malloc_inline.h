// SPDX-License-Identifier: Apache-2.0
//
// malloc and free as they are inlined into every entry point that allocates or frees. Layer: api; internal to it.

#ifndef ALLOCATOR_API_MALLOC_INLINE_H_
#define ALLOCATOR_API_MALLOC_INLINE_H_

#include "allocator/api/box_api.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/page_arena/registry.h"
#include "allocator/thread_cache/thread_cache.h"

HAK_BEGIN_DECLARATIONS
// What is left of malloc and free where the fast path ends. free_slowly keeps errno.
HAK_INTERNAL void *malloc_slowly(size_t size);
HAK_INTERNAL void free_slowly(void *user);
// A block from below the thread's lists. Where there is none, everything cached is given back and it is tried once more.
// NULL if there is no memory then. errno may change. alignment is 0 where none was asked for.
HAK_INTERNAL void *allocate_large(size_t size, size_t alignment, bool zero);
HAK_INTERNAL void *allocate_of_class(unsigned size_class, size_t size, size_t alignment);
// hak_trim where that may help a request for so many bytes: under a limit, or if so many are mapped. Whether it gave back
// anything.
HAK_INTERNAL bool trim_for(size_t bytes);
HAK_END_DECLARATIONS

// A block of a class on its way to the program, which asked for size bytes.
HAK_INLINE void *hand_out(size_t size_class, struct block *block, size_t size, size_t alignment) {
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) {
    box_note_allocation((unsigned)size_class, block, block_record_of(block), size, alignment);
  } else {
    HAK_TRACK_ALLOCATED(block, size_class_usable((unsigned)size_class));
  }
  return user_of_block(block);
}

HAK_INLINE void *malloc_inline(size_t size) {
  if (HAK_UNLIKELY(size > HAK_SMALL_MAX)) return malloc_slowly(size);
  size_t size_class = size_class_of(size);
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) {
    void *user = box_allocate((unsigned)size_class, size);
    return HAK_LIKELY(user != NULL) ? user : malloc_slowly(size);
  }
  struct block *block = thread_cache_pop(size_class);
  if (HAK_UNLIKELY(block == NULL)) return malloc_slowly(size);
  return hand_out(size_class, block, size, 0);
}

// call says who frees, and what the caller says of the block: for the Box.
HAK_INLINE void free_inline(void *user, const struct box_call *call) {
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) {
    box_free(user, call);
    return;
  }
  size_t slab = registry_slab_number((uintptr_t)user);
  if (HAK_UNLIKELY(slab >= REGISTRY_READ(slab_count))) {
    free_slowly(user);
    return;
  }
  size_t size_class = registry.slab_class[slab];
  HAK_TRACK_FREED(user, size_class == 0 ? 0 : size_class_usable((unsigned)size_class));
  if (HAK_UNLIKELY(!thread_cache_push(size_class, block_of_user(user)))) free_slowly(user);
}

// Whether realloc leaves a block of a class where it is: unless it is too small, or less than half of it would be used. The
// smallest classes have none below them.
HAK_INLINE bool fits_in_place(unsigned size_class, size_t usable, size_t size) {
  return size <= usable + HAK_SEED_BUG_IF(90, size == usable + 1) &&
         (size >= usable / 2 || size_class_of(size) == size_class);
}

#endif  // ALLOCATOR_API_MALLOC_INLINE_H_
