// SPDX-License-Identifier: Apache-2.0
//
// The cold part of a thread's cache, and the list of all of them. Layer: thread_cache; internal to it.

#ifndef ALLOCATOR_THREAD_CACHE_THREAD_RECORD_H_
#define ALLOCATOR_THREAD_CACHE_THREAD_RECORD_H_

#include "allocator/thread_cache/thread_cache.h"

enum thread_state {
  THREAD_NEW,        // has not needed its cache yet
  THREAD_ATTACHING,  // is getting one; what happens meanwhile goes without
  THREAD_ATTACHED,
  THREAD_WITHOUT_CACHE,  // has ended, or could not get one
};

struct thread_record {
  struct thread_cache *cache;  // of the thread, in its thread-local storage
  struct thread_record *next;
  struct thread_record *previous;
  // Not 0 while lists are moved about: a fork then finds them in no definite state. A handler of the Box may move lists while
  // the call that found something does.
  uint32_t moving;
  uint16_t wanted[HAK_CLASS_COUNT];  // blocks of the next refill; grows with each
  // How many blocks a list may have: a full chain, or few where the slabs are mostly free.
  uint16_t full[HAK_CLASS_COUNT];
  struct chain spare[HAK_CLASS_COUNT];
  // For the Box, by size class; 0: large blocks, and the bytes of these.
  struct quarantine quarantines[HAK_CLASS_COUNT];
  size_t quarantined_large_bytes;
};

HAK_BEGIN_DECLARATIONS
// Takes a record, new or used before, and enters it in the list. NULL if there is no memory.
HAK_INTERNAL struct thread_record *thread_record_take(struct thread_cache *cache);
// Takes a record out of the list and keeps it for the next thread.
HAK_INTERNAL void thread_record_give(struct thread_record *record);
// The list, under its lock.
HAK_INTERNAL void thread_record_lock(void);
HAK_INTERNAL void thread_record_unlock(void);
HAK_INTERNAL struct thread_record *thread_record_first(void);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_THREAD_CACHE_THREAD_RECORD_H_
