// SPDX-License-Identifier: Apache-2.0
//
// For the Box: memory for the records of a run's blocks. Tables that are not needed any more serve runs of any class, and keep
// no memory meanwhile. Layer: shared_pool; called by the Box too. Takes a lock of its own.

#ifndef ALLOCATOR_SHARED_POOL_RECORD_TABLE_H_
#define ALLOCATOR_SHARED_POOL_RECORD_TABLE_H_

#include "allocator/page_arena/superslab.h"

HAK_BEGIN_DECLARATIONS
// Gives a run records for so many blocks, all zero. False if there is no memory.
HAK_INTERNAL bool record_table_take(struct slab *run, uint32_t blocks);
// Takes the records of a run back, which it had when these were its values.
HAK_INTERNAL void record_table_give(struct block_record *records, unsigned pages);
// Between these a thread may read the records of any run whose class it finds in the registry, also one that another thread is
// giving back: its table stays mapped.
HAK_INTERNAL void record_table_read_begin(void);
HAK_INTERNAL void record_table_read_end(void);
// In a child of a fork: the threads that were reading are not there.
HAK_INTERNAL void record_table_forget_readers(void);
// For fork: holds the lock.
HAK_INTERNAL void record_table_lock(void);
HAK_INTERNAL void record_table_unlock(void);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_SHARED_POOL_RECORD_TABLE_H_
