// SPDX-License-Identifier: Apache-2.0
//
// For the Box: stacks of return addresses, each kept once, under a number. Layer: page_arena. Takes a lock of its own.

#ifndef ALLOCATOR_PAGE_ARENA_STACK_DEPOT_H_
#define ALLOCATOR_PAGE_ARENA_STACK_DEPOT_H_

#include <stddef.h>
#include <stdint.h>

#include "allocator/base/compiler.h"

struct stack_depot_entry {
  struct stack_depot_entry *next;  // with the same hash
  uint32_t number;
  uint32_t count;      // of frames
  size_t live_blocks;  // counted for the report at exit, and their bytes
  size_t live_bytes;
  const void *frames[];
};

// The number of what unwinding allocates itself, which is not the program's.
#define STACK_DEPOT_OWN UINT32_MAX

HAK_BEGIN_DECLARATIONS
// Before the first stack, once: what unwinds them is loaded.
HAK_INTERNAL void stack_depot_prepare(void);
// The number of the calling thread's stack from the return address inner on (os_stack_capture). 0 if it is not known, or there
// is no memory.
HAK_INTERNAL uint32_t stack_depot_record(const void *inner);
// The entry of a number; NULL for 0 and STACK_DEPOT_OWN. Entries stay for ever.
HAK_INTERNAL struct stack_depot_entry *stack_depot_entry(uint32_t number);
// How many numbers there are: 1 to this one.
HAK_INTERNAL uint32_t stack_depot_count(void);
// For fork: holds the lock.
HAK_INTERNAL void stack_depot_lock(void);
HAK_INTERNAL void stack_depot_unlock(void);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_PAGE_ARENA_STACK_DEPOT_H_
