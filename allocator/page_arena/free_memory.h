// SPDX-License-Identifier: Apache-2.0
//
// For the Box: memory in no block. Every page of it is HAK_FILL throughout, or zero throughout (it was never used, or given
// back); anything else was written after it was freed. Layer: page_arena; internal to it and to the Box. No lock: whoever
// calls owns the memory.

#ifndef ALLOCATOR_PAGE_ARENA_FREE_MEMORY_H_
#define ALLOCATOR_PAGE_ARENA_FREE_MEMORY_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocator/base/compiler.h"

HAK_BEGIN_DECLARATIONS
// Makes whole pages free memory. Those that were never touched stay so.
HAK_INTERNAL void free_memory_fill(uintptr_t address, size_t bytes);
// The first byte of these whole pages that is not as it must be; 0 if all are.
HAK_INTERNAL uintptr_t free_memory_check(uintptr_t address, size_t bytes);
// Memory that is about to be used again must be as it was left, and is made so otherwise. Whether it was. What was written
// to is noted, because a caller may hold locks, and records not be right yet.
HAK_INTERNAL bool free_memory_take(uintptr_t address, size_t bytes);
// Reports what the calling thread noted; called with no lock held, when the heap is whole. errno may change.
HAK_INTERNAL void free_memory_report_written(void);
// The first of these bytes that is not HAK_FILL; 0 if all are.
HAK_INTERNAL uintptr_t free_memory_check_fill(uintptr_t address, size_t bytes);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_PAGE_ARENA_FREE_MEMORY_H_
