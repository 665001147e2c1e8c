// SPDX-License-Identifier: Apache-2.0
//
// What the public functions do at checks level 2, where every pointer is examined before anything is changed. Layer: api;
// internal to it.

#ifndef ALLOCATOR_API_BOX_API_H_
#define ALLOCATOR_API_BOX_API_H_

#include "allocator/thread_cache/box.h"

HAK_BEGIN_DECLARATIONS
// free: nothing is known of the block but its address.
HAK_INTERNAL_DATA const struct box_call box_call_free;
HAK_INTERNAL_DATA const struct box_call box_call_realloc;
// A block from the thread's list of a class; NULL where it is empty.
HAK_INTERNAL void *box_allocate(unsigned size_class, size_t size);
// Frees a block, or reports why not and does nothing. errno is kept.
HAK_INTERNAL void box_free(void *user, const struct box_call *call);
// size is not 0. After a report NULL, with errno EINVAL.
HAK_INTERNAL void *box_realloc(void *user, size_t size);
// After a report 0.
HAK_INTERNAL size_t box_usable_size(const void *user);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_API_BOX_API_H_
