// SPDX-License-Identifier: Apache-2.0
//
// The Box: what every push and pop of the TLS SLL, and every pointer that a program gives back, must pass at checks level 2.
// What it finds is reported by os/misuse.h, with no lock held and while the heap is whole, because a handler may use it: a call
// that is at fault is found before anything is changed, and a free block is in no list when it is looked at. The other levels
// contain none of this. Layer: thread_cache; reads the registry and the records of blocks.

#ifndef ALLOCATOR_THREAD_CACHE_BOX_H_
#define ALLOCATOR_THREAD_CACHE_BOX_H_

#include <string.h>

#include "allocator/base/options.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/os/misuse.h"
#include "allocator/page_arena/block_memory.h"
#include "allocator/page_arena/block_record.h"
#include "allocator/page_arena/large_block.h"

// Functions that belong together: what one of them allocates, one of them frees.
enum box_family { BOX_MALLOC, BOX_NEW, BOX_NEW_ARRAY };

#define BOX_UNKNOWN SIZE_MAX
// A size or alignment that a caller gave, whatever it is: no block has either of these two.
#define BOX_GIVEN(number) ((number) == BOX_UNKNOWN ? BOX_UNKNOWN - 1 : (number))

// The alignment of a caller's block that was allocated by a function without one.
#define BOX_NO_ALIGNMENT ((size_t)0)

// A call that is given a pointer, as the checks see it.
struct box_call {
  const char *function;
  enum box_family family;
  bool frees;
  size_t size;  // what the caller says of the block; BOX_UNKNOWN where it says nothing
  size_t alignment;
};

// A live block, found whole.
struct box_block {
  void *user;
  struct block_record *record;
  unsigned size_class;       // 0 for a large block
  size_t capacity;           // usable bytes
  struct large_place large;  // of a large block
};

HAK_BEGIN_DECLARATIONS
// Whether a pointer is a live and whole block's, and the call is right about it. Reports misuse otherwise.
HAK_INTERNAL bool box_examine(void *user, const struct box_call *call, struct box_block *found);
// The same without a report: what is wrong, if anything is.
HAK_INTERNAL enum hak_misuse_kind box_find_misuse(void *user, const struct box_call *call, struct box_block *found,
                                                  struct hak_misuse *misuse);
HAK_INTERNAL void box_note_large_allocation(void *user, size_t alignment);
// The family of the function that allocated a block, where it is not BOX_MALLOC.
HAK_INTERNAL void box_note_family(void *user, enum box_family family);
// Notes a new size of a small block that stays where it is.
HAK_INTERNAL void box_note_resize(const struct box_block *block, size_t size);
// Ends a large block's life, which box_claim has claimed.
HAK_INTERNAL void box_note_large_free(const struct box_block *block);
// Reports what is wrong with a free block, which is in no list.
HAK_INTERNAL void box_report_free_block(unsigned size_class, struct block *block);
// With the option box_scan: whether a block that is about to enter a list is not in it. Reports misuse otherwise.
HAK_INTERNAL bool box_scan_list(unsigned size_class, struct block *block, const struct block *list);
// The number of the calling thread's stack, if stacks are recorded.
HAK_INTERNAL uint32_t box_record_stack(void);
HAK_INTERNAL_DATA HAK_THREAD_LOCAL uint32_t box_thread_id;
HAK_INTERNAL uint32_t box_read_thread_id(void);
HAK_END_DECLARATIONS

// The kernel's id of the calling thread.
HAK_INLINE uint32_t box_thread(void) { return HAK_LIKELY(box_thread_id != 0) ? box_thread_id : box_read_thread_id(); }

// Whether the byte behind a block is a header of the class, of a block that is live or free. Other threads may be changing
// it from one to the other.
HAK_INLINE bool box_next_header_is_whole(unsigned size_class, const struct block *block) {
  const char *next = (const char *)block + size_classes[size_class].stride;
  uint8_t header = block_header_get((const struct block *)next);
  return (uint8_t)(header | (HAK_HEADER_FREE & ~HAK_HEADER_LIVE)) == block_header_free(size_class);
}

// The usual case of box_examine: a small block about which all is well. NULL where it has to be looked at more closely.
// Whether it is live is for box_claim to say.
HAK_INLINE struct block_record *box_find_whole(void *user, const struct box_call *call, unsigned *size_class) {
  size_t slab = registry_slab_number((uintptr_t)user);
  if (HAK_UNLIKELY(slab >= REGISTRY_READ(slab_count))) return NULL;
  *size_class = atomic_read_relaxed(&registry.slab_class[slab]);
  if (HAK_UNLIKELY(*size_class == 0)) return NULL;
  const struct slab *run = atomic_read_relaxed(&registry.slab_runs[slab]);
  struct block_record *record = block_record_find(run, (uintptr_t)user);
  if (HAK_UNLIKELY(record == NULL)) return NULL;
  const size_t stride = size_classes[*size_class].stride;
  const struct block *block = block_of_user(user);
  bool whole = (block_header_get(block) == block_header_live(*size_class) ||
                (HAK_SEED_BUG(81) && (block_header_get(block) & HAK_HEADER_FREE) == HAK_HEADER_LIVE)) &&
               box_next_header_is_whole(*size_class, block) &&
               block_memory_slack_is_filled((const char *)user + stride - HAK_HEADER_BYTES, record->slack);
  bool right =
      (call->size == BOX_UNKNOWN || call->size == stride - HAK_HEADER_BYTES - record->slack) &&
      (call->alignment == BOX_UNKNOWN || (call->alignment == BOX_NO_ALIGNMENT && record->alignment_shift == 0)) &&
      call->family == record->function;
  return HAK_LIKELY(whole && right) ? record : NULL;
}

// Of several threads that free a block at once one is the first: true for that one.
HAK_INLINE bool box_claim(struct block_record *record) {
  uint8_t live = HAK_BLOCK_LIVE;
  HAK_YIELD();
  return __atomic_compare_exchange_n(&record->state, &live, BLOCK_IN_HAND, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

// Says what a block is now that memory and record are as they must be, in this order also in memory: a fork at any point finds
// a block that is whole, or in somebody's hand.
HAK_INLINE void box_leave(struct block_record *record, enum hak_block_state state) {
  HAK_COMPILER_BARRIER();
  atomic_write_relaxed(&record->state, (uint8_t)state);
}

// Ends a small block's life, which box_claim has claimed: fills it and notes who did it. It is in no list yet.
HAK_INLINE void box_note_free(unsigned size_class, struct block *block, struct block_record *record) {
  record->freed_by = box_thread();
  record->free_stack = HAK_UNLIKELY(options.box_stacks) ? box_record_stack() : 0;
  record->filled = 1;
  // Behind the requested size it is filled already.
  block_memory_fill(block, size_class_usable(size_class) - record->slack);
  block_header_set(block, block_header_free(size_class));
  box_leave(record, HAK_BLOCK_QUARANTINED);
  HAK_TRACK_BLOCK_FREED(block, size_class_usable(size_class));
}

// Looks whether a block that was taken out of its list is as it was left, and reports misuse otherwise.
HAK_INLINE void box_check_listed(unsigned size_class, struct block *block, const struct block_record *record) {
  bool whole = block_header_get(block) == block_header_free(size_class) &&
               (block_link_get(block) == record->link || HAK_SEED_BUG(82)) &&
               (!record->filled || block_memory_is_filled(block + 1, size_class_usable(size_class) - sizeof *block));
  if (HAK_UNLIKELY(!whole)) box_report_free_block(size_class, block);
}

// The same for one that was taken out of its quarantine.
HAK_INLINE void box_check_quarantined(unsigned size_class, struct block *block) {
  bool whole = block_header_get(block) == block_header_free(size_class) &&
               block_memory_is_filled(block, size_class_usable(size_class) - HAK_SEED_BUG(83));
  if (HAK_UNLIKELY(!whole)) box_report_free_block(size_class, block);
}

// Notes what a program is given, of a block that one of these has seen.
HAK_INLINE void box_note_allocation(unsigned size_class, struct block *block, struct block_record *record, size_t size,
                                    size_t alignment) {
  atomic_write_relaxed(&record->state, BLOCK_IN_HAND);
  HAK_COMPILER_BARRIER();
  record->slack = (uint32_t)(size_class_usable(size_class) - size);
  record->allocated_by = box_thread();
  record->allocation_stack = HAK_UNLIKELY(options.box_stacks) ? box_record_stack() : 0;
  record->function = BOX_MALLOC;
  record->alignment_shift = alignment > HAK_ALIGNMENT ? (uint8_t)__builtin_ctzll(alignment) : 0;
  const uint64_t fill = HAK_FILL_WORD;
  if (HAK_UNLIKELY(!record->filled)) block_memory_fill(block, size_class_usable(size_class));
  // Where the link was.
  if (HAK_BOX_FILLS) memcpy(block, &fill, sizeof fill);
  block_header_set(block, block_header_live(size_class));
  box_leave(record, HAK_BLOCK_LIVE);
  HAK_TRACK_ALLOCATED(block, size);
}

#endif  // ALLOCATOR_THREAD_CACHE_BOX_H_
