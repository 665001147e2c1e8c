// SPDX-License-Identifier: Apache-2.0
//
// Allocation with an alignment. Small ones come from size classes whose blocks are aligned by nature, so that they are
// cached and freed like all others; the rest are large blocks. Layer: api. No lock.
// Test: tests/unit/api_conformance_test.cc.

#include "allocator/api/malloc_inline.h"
#include "allocator/api/process_lifecycle.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/os/os.h"
#include "hakmem/hakmem.h"

static bool is_power_of_two(size_t number) {
  return (number != 0 || HAK_SEED_BUG(101)) && (number & (number - 1)) == 0;
}

// alignment is a power of two. Keeps errno, also where it returns NULL for want of memory.
static void *allocate_aligned(size_t alignment, size_t size) {
  if (alignment <= (size_t)HAK_ALIGNMENT << HAK_SEED_BUG_IF(100, alignment > HAK_ALIGNMENT) && size <= HAK_SMALL_MAX) {
    size_t size_class = size_class_of(size);
    struct block *block = thread_cache_pop(size_class);
    if (HAK_LIKELY(block != NULL)) return hand_out(size_class, block, size, alignment);
  }
  if (!process_ready()) return NULL;
  int error = os_error_get();
  void *user;
  unsigned size_class = 0;
  if (alignment <= HAK_ALIGNMENT) {
    if (size <= HAK_SMALL_MAX) size_class = size_class_of(size);
  } else {
    size_class = size_class_of_aligned(size, alignment);
  }
  if (size_class == 0) {
    user = allocate_large(size, alignment, false);
  } else {
    struct block *block = thread_cache_pop(size_class);
    user =
        block != NULL ? hand_out(size_class, block, size, alignment) : allocate_of_class(size_class, size, alignment);
  }
  os_error_set(error);
  return user;
}

static void *or_no_memory(void *user) {
  if (HAK_UNLIKELY(user == NULL)) os_error_set_no_memory();
  return user;
}

HAK_PUBLIC void *hak_aligned_alloc(size_t alignment, size_t size) {
  if (HAK_UNLIKELY(!is_power_of_two(alignment))) {
    os_error_set_invalid();
    return NULL;
  }
  return or_no_memory(allocate_aligned(alignment, size));
}

HAK_PUBLIC void *hak_memalign(size_t alignment, size_t size) {
  const size_t greatest = (size_t)1 << 63;
  if (alignment > greatest) {
    os_error_set_invalid();
    return NULL;
  }
  size_t rounded = HAK_ALIGNMENT;
  while (rounded < alignment) rounded *= 2;
  return or_no_memory(allocate_aligned(rounded, size));
}

HAK_PUBLIC int hak_posix_memalign(void **result, size_t alignment, size_t size) {
  int error = os_error_get();
  int failure = 0;
  if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0) {
    os_error_set_invalid();
    failure = os_error_get();
  } else {
    void *user = allocate_aligned(alignment, size);
    if (user != NULL) {
      *result = user;
    } else {
      if (HAK_SEED_BUG(102)) *result = NULL;
      os_error_set_no_memory();
      failure = os_error_get();
    }
  }
  if (!HAK_SEED_BUG_IF(103, failure != 0)) os_error_set(error);
  return failure;
}

HAK_PUBLIC void *hak_valloc(size_t size) { return or_no_memory(allocate_aligned(os_page_size(), size)); }

HAK_PUBLIC void *hak_pvalloc(size_t size) {
  size_t page = os_page_size();
  size_t rounded = (size + page - 1) & ~(page - 1);
  if (rounded < size && !HAK_SEED_BUG(104)) return or_no_memory(NULL);
  return or_no_memory(allocate_aligned(page, rounded == 0 ? page : rounded));
}
