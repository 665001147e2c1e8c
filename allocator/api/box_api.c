// SPDX-License-Identifier: Apache-2.0
//
// free, realloc and malloc_usable_size at checks level 2. Layer: api; calls the Box, the thread cache and large blocks. No
// lock. Test: tests/unit/box_test.cc, tests/death.

#include "allocator/api/box_api.h"

#include <string.h>

#include "allocator/api/malloc_inline.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/os/os.h"
#include "allocator/page_arena/free_memory.h"
#include "allocator/thread_cache/thread_record.h"

HAK_INTERNAL_DEFINITION const struct box_call box_call_free = {"free", BOX_MALLOC, true, BOX_UNKNOWN, BOX_UNKNOWN};

HAK_INTERNAL_DEFINITION const struct box_call box_call_realloc = {"realloc", BOX_MALLOC, true, BOX_UNKNOWN,
                                                                  BOX_UNKNOWN};

HAK_INLINE struct quarantine *quarantine_of(unsigned size_class) {
  struct thread_record *record = thread_cache.record;
  return HAK_LIKELY(record != NULL) ? &record->quarantines[size_class] : thread_cache_quarantine(size_class);
}

// The oldest block in quarantine, where there are enough; otherwise the first one of the list. It is looked at when it is out.
void *box_allocate(unsigned size_class, size_t size) {
  struct thread_cache *cache = thread_cache_get();
  struct block *block;
  struct block_record *record;
  if (HAK_UNLIKELY(cache->record == NULL)) return NULL;
  struct quarantine *quarantine = &cache->record->quarantines[size_class];
  if (HAK_LIKELY(quarantine->count > quarantine->least)) {
    block = quarantine->first;
    record = block_record_of(block);
    quarantine_remove(quarantine, record);
    box_check_quarantined(size_class, block);
  } else {
    block = cache->heads[size_class];
    if (HAK_UNLIKELY(block == NULL)) return NULL;
    record = block_record_of(block);
    cache->heads[size_class] = record->link;
    cache->rooms[size_class]++;
    box_check_listed(size_class, block, record);
  }
  box_note_allocation(size_class, block, record, size, 0);
  return user_of_block(block);
}

HAK_INLINE void retire_small(struct block *block, unsigned size_class, struct block_record *record) {
  box_note_free(size_class, block, record);
  struct quarantine *quarantine = quarantine_of(size_class);
  if (HAK_UNLIKELY(quarantine == NULL || quarantine->most == 0)) {
    thread_cache_push_retired(size_class, block);
    return;
  }
  quarantine_add(quarantine, block, record);
  if (HAK_UNLIKELY(quarantine->count > quarantine->most)) thread_cache_release(quarantine, size_class);
}

HAK_COLD static void retire(const struct box_block *block) {
  if (block->size_class != 0) {
    retire_small(block_of_user(block->user), block->size_class, block->record);
    return;
  }
  box_note_large_free(block);
  thread_cache_retire_large(block->user, block->record, block->capacity);
}

// Examines until the block is this call's to free, or is reported.
HAK_COLD static void free_slowly_examined(void *user, const struct box_call *call) {
  struct box_block block;
  int error = os_error_get();
  while (user != NULL && box_examine(user, call, &block)) {
    if (!box_claim(block.record)) continue;
    retire(&block);
    break;
  }
  os_error_set(error);
}

void box_free(void *user, const struct box_call *call) {
  unsigned size_class;
  struct block_record *record = box_find_whole(user, call, &size_class);
  if (HAK_UNLIKELY(record == NULL || !box_claim(record))) {
    free_slowly_examined(user, call);
    return;
  }
  retire_small(block_of_user(user), size_class, record);
}

// The old place of a block that was moved. Another thread may have freed it meanwhile.
static void free_old_place(const struct box_block *block) {
  if (box_claim(block->record)) {
    retire(block);
  } else {
    free_slowly_examined(block->user, &box_call_free);
  }
}

static void *move_examined(const struct box_block *block, size_t size) {
  size_t old_size = block->capacity - block->record->slack;
  void *moved = malloc_inline(size);
  if (moved == NULL) return NULL;
  memcpy(moved, block->user, old_size < size ? old_size : size);
  if (!HAK_SEED_BUG(99)) free_old_place(block);
  return moved;
}

static void *resize(const struct box_block *block, size_t size) {
  if (block->size_class != 0) {
    if (fits_in_place(block->size_class, block->capacity, size)) {
      box_note_resize(block, size);
      return block->user;
    }
  } else if (size > HAK_SMALL_MAX) {
    void *resized = large_block_resize(block->user, size);
    if (resized != NULL) return resized;
  }
  void *moved = move_examined(block, size);
  // A block that is larger than it needs to be is better than none.
  if (moved != NULL || size > block->capacity) return moved;
  if (block->size_class != 0) {
    box_note_resize(block, size);
  } else if (!large_block_keep(block->user, size)) {
    return NULL;
  }
  return block->user;
}

void *box_realloc(void *user, size_t size) {
  struct box_block block;
  int error = os_error_get();
  if (!box_examine(user, &box_call_realloc, &block)) {
    os_error_set_invalid();
    return NULL;
  }
  void *resized = resize(&block, size);
  free_memory_report_written();
  if (resized == NULL) {
    os_error_set_no_memory();
  } else {
    os_error_set(error);
  }
  return resized;
}

size_t box_usable_size(const void *user) {
  static const struct box_call call = {"malloc_usable_size", BOX_MALLOC, false, BOX_UNKNOWN, BOX_UNKNOWN};
  struct box_block block;
  if (user == NULL) return 0;
  // Looking at a large block asks the kernel which pages were touched.
  int error = os_error_get();
  bool examined = box_examine((void *)user, &call, &block);
  os_error_set(error);
  if (!examined) return 0;
  return block.capacity - (HAK_SEED_BUG(98) ? 0 : block.record->slack);
}
