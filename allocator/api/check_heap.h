// SPDX-License-Identifier: Apache-2.0
//
// Looks at the heap as a whole. Layer: api; internal to it. hak_check_heap is in hakmem/hakmem.h.

#ifndef ALLOCATOR_API_CHECK_HEAP_H_
#define ALLOCATOR_API_CHECK_HEAP_H_

#include "allocator/base/compiler.h"

HAK_BEGIN_DECLARATIONS
// For the Box: writes the live blocks to stderr, by the stacks that allocated them.
HAK_INTERNAL void check_heap_print_leaks(void);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_API_CHECK_HEAP_H_
