// SPDX-License-Identifier: Apache-2.0
//
// Superslabs and slabs, as the page arena keeps them: beside the memory they describe, never in it, so that nothing a
// program writes past its blocks reaches them. Layer: page_arena. Fields are guarded by the page arena's lock, those of
// the shared pool in struct slab by the lock of the slab's class.

#ifndef ALLOCATOR_PAGE_ARENA_SUPERSLAB_H_
#define ALLOCATOR_PAGE_ARENA_SUPERSLAB_H_

#include <stdint.h>

#include "allocator/base/block.h"
#include "allocator/base/config.h"

// What the Box knows of a block, beside the memory in which the block lies.
struct block_record {
  struct block *link;     // of a free block: what the link in the block must be
  uint32_t slack;         // usable bytes behind the requested size
  uint32_t allocated_by;  // kernel thread ids; 0 where nobody has allocated or freed it yet
  uint32_t freed_by;
  uint32_t allocation_stack;  // in the stack depot; 0 where none was recorded
  uint32_t free_stack;
  uint8_t state;            // enum hak_block_state, or BLOCK_IN_HAND; HAK_BLOCK_UNKNOWN where no block was carved yet
  uint8_t filled;           // of a free block: everything but its link is HAK_FILL
  uint8_t function;         // enum box_family: which functions allocated it
  uint8_t alignment_shift;  // the alignment that was asked for is 1 << this; 0 where none was
};

// A thread is making a block live or free: neither its memory nor its record is as a check expects it. Only others see it,
// and a child of a fork, where it stays so.
#define BLOCK_IN_HAND ((uint8_t)6)

enum slab_state {
  SLAB_FREE,
  SLAB_CLASS,  // in a run of blocks of one size class
  SLAB_LARGE,  // in a run that is one large block
};

// One slab of 64 KiB. A run is one or more slabs in a row; what describes the run is kept in its first.
struct slab {
  // For the shared pool, in runs of a size class.
  struct slab *next;
  struct slab *previous;
  struct block *free_list;
  uint32_t free_count;    // blocks in free_list
  uint32_t carved;        // blocks made so far; what lies behind them has never been touched in this run
  uint32_t used;          // blocks carved and not in free_list
  uint32_t first_offset;  // of the first user pointer; in a large run, of its only one
  // For everybody.
  uintptr_t address;
  struct superslab *superslab;
  uint8_t size_class;
  uint8_t run_slabs;
  uint8_t state;
  uint8_t number;        // of this slab in its superslab
  uint8_t run_index;     // of this slab in its run
  uint8_t record_pages;  // for the Box: how large records is
  // For the Box: a record for each block of a class, or the one of a large block.
  struct block_record *records;
  struct block_record large;
};

enum superslab_state {
  SUPERSLAB_FREE,
  SUPERSLAB_SLABS,      // divided into runs
  SUPERSLAB_SPAN,       // the first of a span: one large block of whole superslabs
  SUPERSLAB_SPAN_TAIL,  // the others of a span
};

struct superslab {
  uintptr_t address;
  uint8_t state;
  uint8_t longest_run;  // free slabs in a row; which list the superslab is in
  // One bit per slab. A free slab's memory is dirty (it may be resident), or known to be zero, or neither. In a span the
  // zero bits stay as they were when it was taken.
  uint32_t free_slabs;
  uint32_t dirty_slabs;
  uint32_t zero_slabs;
  // For a span: its superslabs, and where its block begins.
  size_t span_superslabs;
  size_t span_offset;
  // Superslabs with equally long free runs.
  struct superslab *next;
  struct superslab *previous;
  // The purge queue, oldest first.
  struct superslab *purge_next;
  struct superslab *purge_previous;
  uint64_t purge_at;   // milliseconds; 0 where the superslab is not in the queue
  struct slab *slabs;  // HAK_SUPERSLAB_SLABS of them; NULL until the superslab is divided for the first time
  struct block_record span_record;  // for the Box
};

HAK_INLINE size_t slab_run_bytes(const struct slab *run) { return (size_t)run->run_slabs << HAK_SLAB_SHIFT; }

#endif  // ALLOCATOR_PAGE_ARENA_SUPERSLAB_H_
