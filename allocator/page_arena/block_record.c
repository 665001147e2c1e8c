// SPDX-License-Identifier: Apache-2.0
//
// What a free block of the Box must look like, and what a record says of its block. Layer: page_arena; calls os and the stack
// depot. No lock: whoever calls owns the block, or only reads. Test: tests/unit/block_record_test.cc, tests/death.

#include "allocator/page_arena/block_record.h"

#include "allocator/os/misuse.h"
#include "allocator/page_arena/free_memory.h"
#include "allocator/page_arena/stack_depot.h"

void block_record_describe(const struct block_record *record, struct hak_misuse *misuse) {
  misuse->offset = (const char *)misuse->pointer - (const char *)misuse->block;
  // What is in somebody's hand was freed, or is about to be handed out.
  misuse->state = record->state == BLOCK_IN_HAND ? HAK_BLOCK_QUARANTINED : (enum hak_block_state)record->state;
  if (record->state != HAK_BLOCK_LIVE && !block_record_was_allocated(record)) {
    misuse->state = HAK_BLOCK_UNUSED;
    misuse->requested_size = 0;
    return;
  }
  misuse->requested_size = misuse->usable_size - record->slack;
  misuse->allocating_thread = record->allocated_by;
  const struct stack_depot_entry *stack = stack_depot_entry(record->allocation_stack);
  if (stack != NULL) {
    misuse->allocation_stack = stack->frames;
    misuse->allocation_frames = stack->count;
  }
  if (record->state == HAK_BLOCK_LIVE) return;
  misuse->freeing_thread = record->freed_by;
  stack = stack_depot_entry(record->free_stack);
  if (stack == NULL) return;
  misuse->free_stack = stack->frames;
  misuse->free_frames = stack->count;
}

// The header first: what reaches it from the neighbour may go on into the block.
static uintptr_t find_write(unsigned size_class, const struct block *block, const struct block_record *record) {
  uintptr_t address = (uintptr_t)block;
  bool linked = record->state != HAK_BLOCK_QUARANTINED;
  if (block_header_get(block) != block_header_free(size_class)) return address - HAK_HEADER_BYTES;
  if (linked && block_link_get(block) != record->link) return address;
  if (!record->filled) return 0;
  size_t skipped = linked ? sizeof *block : 0;
  return free_memory_check_fill(address + skipped, size_class_usable(size_class) - skipped);
}

bool block_record_check_free(unsigned size_class, const struct block *block, const struct block_record *record,
                             const char *function, struct hak_misuse *misuse) {
  uintptr_t wrong = find_write(size_class, block, record);
  if (wrong == 0) return true;
  *misuse = (struct hak_misuse){.function = function, .pointer = (const void *)wrong, .block = block};
  misuse->kind = wrong < (uintptr_t)block ? HAK_MISUSE_UNDERFLOW : HAK_MISUSE_WRITE_AFTER_FREE;
  misuse->size_class = size_class;
  misuse->usable_size = size_class_usable(size_class);
  block_record_describe(record, misuse);
  return false;
}

HAK_COLD void block_record_report_free(unsigned size_class, struct block *block, struct block_record *record,
                                       const char *function) {
  struct hak_misuse misuse;
  if (block_record_check_free(size_class, block, record, function, &misuse)) return;
  record->filled = 0;
  record->link = block_link_get(block);
  block_header_set(block, block_header_free(size_class));
  misuse_report(&misuse);
}
