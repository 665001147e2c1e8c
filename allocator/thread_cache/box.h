// SPDX-License-Identifier: Apache-2.0
//
// The Box: what every push and pop of the TLS SLL must pass at checks level 2, and how any level reports misuse.
// The direct build contains none of the checks. Layer: thread_cache; reads the registry.

#ifndef ALLOCATOR_THREAD_CACHE_BOX_H_
#define ALLOCATOR_THREAD_CACHE_BOX_H_

#include "allocator/base/block.h"

enum misuse {
  MISUSE_INVALID_POINTER,
  MISUSE_INTERIOR_POINTER,
  MISUSE_DOUBLE_FREE,
  MISUSE_HEADER_OVERWRITTEN,
  MISUSE_FREE_LIST_CORRUPTED,
};

HAK_BEGIN_DECLARATIONS
// Whether the block may be freed: it begins where a block of the class can begin, and its header says it is live.
// Reports misuse otherwise. Changes nothing.
HAK_INTERNAL bool box_check_push(unsigned size_class, struct block *block);
// Whether a block about to leave its list is free and whole, and its link leads to a block. Reports misuse otherwise.
HAK_INTERNAL void box_check_pop(unsigned size_class, struct block *block);
// Writes one line on stderr and aborts.
HAK_INTERNAL void misuse_report(enum misuse kind, const char *function, const void *pointer);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_THREAD_CACHE_BOX_H_
