// SPDX-License-Identifier: Apache-2.0
//
// For the Box: freed blocks that are kept from being used again for a while, so that a late write to one of them is found, and
// a late free is a double free. Per thread and size class, first in, first out; large blocks are class 0. Linked by their
// records alone: the blocks are filled from their first byte. Layer: thread_cache; internal to it. No lock: a quarantine
// belongs to its thread.

#ifndef ALLOCATOR_THREAD_CACHE_QUARANTINE_H_
#define ALLOCATOR_THREAD_CACHE_QUARANTINE_H_

#include "allocator/page_arena/block_record.h"

struct quarantine {
  struct block *first;
  struct block_record *last;
  uint32_t count;
  uint32_t least;  // with more blocks than this, the oldest may be used again
  uint32_t most;   // with more than this, the oldest has to leave
};

HAK_BEGIN_DECLARATIONS
// Sets the limits of a class from the options.
HAK_INTERNAL void quarantine_begin(struct quarantine *quarantine, unsigned size_class);
HAK_END_DECLARATIONS

HAK_INLINE void quarantine_add(struct quarantine *quarantine, struct block *block, struct block_record *record) {
  record->link = NULL;
  // In this order also in memory: a fork at any point finds a list that is whole.
  HAK_COMPILER_BARRIER();
  *(quarantine->count == 0 ? &quarantine->first : &quarantine->last->link) = block;
  HAK_COMPILER_BARRIER();
  quarantine->last = record;
  quarantine->count++;
}

// Takes the oldest block, whose record is given, out of a quarantine that is not empty.
HAK_INLINE void quarantine_remove(struct quarantine *quarantine, const struct block_record *record) {
  quarantine->first = record->link;
  quarantine->count--;
}

#endif  // ALLOCATOR_THREAD_CACHE_QUARANTINE_H_
