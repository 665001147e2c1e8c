// SPDX-License-Identifier: Apache-2.0
//
// The links of free blocks, and the Box's records beside them. Without the Box a link lies in the block and nowhere else.
// With it the record has the link that counts, so that no list is ever lost; the one in the block shows whether it was
// written to. Layer: page_arena. Guarded as the list is in which the block lies.

#ifndef ALLOCATOR_PAGE_ARENA_BLOCK_RECORD_H_
#define ALLOCATOR_PAGE_ARENA_BLOCK_RECORD_H_

#include "allocator/base/seeded_bug.h"
#include "allocator/base/size_class.h"
#include "allocator/page_arena/registry.h"
#include "hakmem/misuse.h"

HAK_STATIC_ASSERT(BLOCK_IN_HAND > HAK_BLOCK_UNUSED, "BLOCK_IN_HAND is none of enum hak_block_state");

HAK_BEGIN_DECLARATIONS
// Whether a free block of a class, which is in no list or in one that nobody changes, is as it was left. Otherwise the first
// byte that is not, or its header, is what a function reports.
HAK_INTERNAL bool block_record_check_free(unsigned size_class, const struct block *block,
                                          const struct block_record *record, const char *function,
                                          struct hak_misuse *misuse);
// Reports a free block that is not as it was left. It must be in no list, or its list be given up: a handler may use the heap.
// From before the report on its contents count as unknown, so that it is reported once; they stay as they were found.
HAK_INTERNAL void block_record_report_free(unsigned size_class, struct block *block, struct block_record *record,
                                           const char *function);
// Completes a report, whose pointer, block and usable size are set, by what the record says.
HAK_INTERNAL void block_record_describe(const struct block_record *record, struct hak_misuse *misuse);
HAK_END_DECLARATIONS

// Whether the block has ever been a program's: blocks are carved some time before.
HAK_INLINE bool block_record_was_allocated(const struct block_record *record) { return record->allocated_by != 0; }

// The record of the block of a class's run that begins at an address; NULL if none begins there.
HAK_INLINE struct block_record *block_record_find(const struct slab *run, uintptr_t address) {
  const struct size_class *of_class = &size_classes[run->size_class];
  uint64_t offset = address - (run->address + run->first_offset);
  uint64_t number = offset * of_class->reciprocal >> HAK_RECIPROCAL_SHIFT;
  if (HAK_UNLIKELY(number >= of_class->blocks || (number * of_class->stride != offset && !HAK_SEED_BUG(50))))
    return NULL;
  return &run->records[number];
}

// The record of a block that exists, for certain.
HAK_INLINE struct block_record *block_record_of(const struct block *block) {
  const struct slab *run = atomic_read_relaxed(&registry.slab_runs[registry_slab_number((uintptr_t)block)]);
  uint64_t offset = (uintptr_t)block - (run->address + run->first_offset);
  return &run->records[offset * size_classes[run->size_class].reciprocal >> HAK_RECIPROCAL_SHIFT];
}

HAK_INLINE struct block *block_next(const struct block *block) {
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) return block_record_of(block)->link;
  return block_link_get(block);
}

// Links a free block anew. A link in the block that was overwritten stays so, for the check that comes.
HAK_INLINE void block_set_next(struct block *block, struct block *next) {
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) {
    struct block_record *record = block_record_of(block);
    if (block_link_get(block) == record->link) block_link_set(block, next);
    record->link = next;
  } else {
    block_link_set(block, next);
  }
}

// Notes where a block of a class is now.
HAK_INLINE void block_set_state(const struct block *block, enum hak_block_state state) {
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) block_record_of(block)->state = (uint8_t)state;
}

#endif  // ALLOCATOR_PAGE_ARENA_BLOCK_RECORD_H_
