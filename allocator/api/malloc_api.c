// SPDX-License-Identifier: Apache-2.0
//
// malloc, calloc, realloc, free and their relatives without an alignment. Layer: api; calls the thread cache, reads the
// registry, and calls large blocks. No lock. Test: tests/unit/api_conformance_test.cc.

#include <string.h>

#include "allocator/api/malloc_inline.h"
#include "allocator/api/process_lifecycle.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/os/os.h"
#include "allocator/page_arena/free_memory.h"
#include "allocator/page_arena/large_block.h"
#include "hakmem/hakmem.h"

static void *no_memory(void) {
  os_error_set_no_memory();
  return NULL;
}

void *allocate_large(size_t size, size_t alignment, bool zero) {
  size_t at_least = alignment < HAK_ALIGNMENT ? HAK_ALIGNMENT : alignment;
  void *user = large_block_allocate(size, at_least, zero);
  if (user == NULL && trim_for(size > alignment ? size : alignment)) user = large_block_allocate(size, at_least, zero);
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX && user != NULL) box_note_large_allocation(user, alignment);
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) free_memory_report_written();
  return user;
}

void *allocate_of_class(unsigned size_class, size_t size, size_t alignment) {
  struct block *block = thread_cache_refill(size_class);
  if (block == NULL && trim_for(HAK_SLAB_BYTES)) block = thread_cache_refill(size_class);
  void *user = block == NULL ? NULL : hand_out(size_class, block, size, alignment);
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) free_memory_report_written();
  return user;
}

HAK_COLD void *malloc_slowly(size_t size) {
  if (!process_ready()) return no_memory();
  int error = os_error_get();
  void *user = size > HAK_SMALL_MAX ? allocate_large(size, 0, false) : allocate_of_class(size_class_of(size), size, 0);
  if (user == NULL && !HAK_SEED_BUG(91)) return no_memory();
  os_error_set(error);
  return user;
}

static void free_class_slowly(unsigned size_class, void *user) {
  struct block *block = block_of_user(user);
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_CHECKED && block_header_get(block) != block_header_live(size_class)) {
    bool is_free = block_header_get(block) == block_header_free(size_class);
    misuse_report_pointer(is_free ? HAK_MISUSE_DOUBLE_FREE : HAK_MISUSE_UNDERFLOW, "free", user);
    return;
  }
  thread_cache_push_slowly(size_class, block);
}

HAK_COLD void free_slowly(void *user) {
  if (user == NULL) return;
  int error = os_error_get();
  unsigned size_class = registry_class_of((uintptr_t)user);
  thread_cache_no_room(size_class);
  if (size_class != 0) {
    free_class_slowly(size_class, user);
  } else if (!large_block_free(user)) {
    misuse_report_pointer(HAK_MISUSE_INVALID_POINTER, "free", user);
  }
  if (!HAK_SEED_BUG(92)) os_error_set(error);
}

HAK_PUBLIC void *hak_malloc(size_t size) { return malloc_inline(size); }

HAK_PUBLIC void hak_free(void *pointer) { free_inline(pointer, &box_call_free); }

HAK_PUBLIC void hak_free_sized(void *pointer, size_t size) {
  struct box_call call = {"free_sized", BOX_MALLOC, true, BOX_GIVEN(size), BOX_NO_ALIGNMENT};
  free_inline(pointer, &call);
}

HAK_PUBLIC void hak_free_aligned_sized(void *pointer, size_t alignment, size_t size) {
  struct box_call call = {"free_aligned_sized", BOX_MALLOC, true, BOX_GIVEN(size), BOX_GIVEN(alignment)};
  free_inline(pointer, &call);
}

HAK_COLD static void *calloc_large(size_t bytes) {
  if (!process_ready()) return no_memory();
  int error = os_error_get();
  void *user = allocate_large(bytes, 0, true);
  if (user == NULL) return no_memory();
  os_error_set(error);
  return user;
}

// Small blocks are zeroed to their usable size, so that a program may use what malloc_usable_size tells it. That is what
// it asked for with the Box.
HAK_PUBLIC void *hak_calloc(size_t count, size_t size) {
  size_t bytes;
  if (HAK_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)) && !HAK_SEED_BUG(93)) return no_memory();
  if (HAK_UNLIKELY(bytes > HAK_SMALL_MAX)) return calloc_large(bytes);
  void *user = malloc_inline(bytes);
  if (HAK_LIKELY(user != NULL)) {
    size_t zeroed = HAK_CHECKS_LEVEL == HAK_CHECKS_BOX ? bytes : size_class_usable(size_class_of(bytes));
    if (HAK_SEED_BUG_IF(94, zeroed % sizeof(void *) != 0)) zeroed -= zeroed % sizeof(void *);
    memset(user, 0, zeroed);
  }
  return user;
}

// The usable bytes of a block; reports a pointer that is none.
static size_t usable_of(const void *user, const char *function) {
  unsigned size_class = registry_class_of((uintptr_t)user);
  if (HAK_LIKELY(size_class != 0)) return size_class_usable(size_class);
  size_t usable = large_block_usable(user);
  if (usable == 0) misuse_report_pointer(HAK_MISUSE_INVALID_POINTER, function, user);
  return usable;
}

HAK_PUBLIC size_t hak_usable_size(const void *pointer) {
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) return box_usable_size(pointer);
  return pointer == NULL ? 0 : usable_of(pointer, "malloc_usable_size");
}

static void *move(void *user, size_t usable, size_t size) {
  int error = os_error_get();
  void *moved = malloc_inline(size);
  if (moved == NULL) {
    // A block that is larger than it needs to be is better than none.
    if (size > usable && HAK_SEED_BUG(95)) free_inline(user, &box_call_free);
    if (size > usable) return NULL;
    os_error_set(error);
    return user;
  }
  size_t kept = (usable < size ? usable : size) - HAK_SEED_BUG_IF(96, size <= usable);
  if (HAK_SEED_BUG_IF(116, size <= usable)) kept -= (size <= usable) * (kept > 1024) * (kept % 512);
  memcpy(moved, user, kept);
  free_inline(user, &box_call_free);
  return moved;
}

static void *resize_large(void *user, size_t usable, size_t size) {
  if (size > HAK_SMALL_MAX) {
    int error = os_error_get();
    void *resized = large_block_resize(user, size);
    os_error_set(error);
    if (resized != NULL) return resized;
  }
  return move(user, usable, size);
}

HAK_PUBLIC void *hak_realloc(void *pointer, size_t size) {
  if (pointer == NULL) return malloc_inline(size);
  if (HAK_UNLIKELY(size == 0)) {
    if (!HAK_SEED_BUG(97)) free_inline(pointer, &box_call_realloc);
    return NULL;
  }
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) return box_realloc(pointer, size);
  unsigned size_class = registry_class_of((uintptr_t)pointer);
  if (HAK_LIKELY(size_class != 0)) {
    size_t usable = size_class_usable(size_class);
    if (fits_in_place(size_class, usable, size)) return pointer;
    return move(pointer, usable, size);
  }
  size_t usable = usable_of(pointer, "realloc");
  if (usable == 0) return no_memory();
  return resize_large(pointer, usable, size);
}

HAK_PUBLIC void *hak_reallocarray(void *pointer, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return no_memory();
  return hak_realloc(pointer, bytes);
}
