// SPDX-License-Identifier: Apache-2.0
//
// When the allocator comes to life, and what fork does to it. Layer: api; internal to it.

#ifndef ALLOCATOR_API_PROCESS_LIFECYCLE_H_
#define ALLOCATOR_API_PROCESS_LIFECYCLE_H_

#include <stdbool.h>

#include "allocator/base/atomics.h"
#include "allocator/base/compiler.h"

HAK_BEGIN_DECLARATIONS
HAK_INTERNAL_DATA bool process_initialized;
HAK_INTERNAL bool process_initialize(void);
HAK_END_DECLARATIONS

// Must be true before any layer below is called. False if there is not even memory for the tables; a later call tries
// again. Called by slow paths only: before the first success, every fast path ends in one.
HAK_INLINE bool process_ready(void) {
  return HAK_LIKELY(atomic_read_acquire(&process_initialized)) || process_initialize();
}

#endif  // ALLOCATOR_API_PROCESS_LIFECYCLE_H_
