// SPDX-License-Identifier: Apache-2.0
//
// The shared pool: what threads exchange. Per size class, whole chains first, which change hands without a look at their
// blocks; behind them the slabs, into which blocks are sorted back once the chains are too many. Layer: shared_pool.
// Currency: the chain. Every function may be called from any thread and takes the class's lock itself.

#ifndef ALLOCATOR_SHARED_POOL_SHARED_POOL_H_
#define ALLOCATOR_SHARED_POOL_SHARED_POOL_H_

#include <stdbool.h>

#include "allocator/base/block.h"

struct shared_pool_statistics {
  size_t blocks_carved;
  size_t blocks_outside;  // carved and not free in a slab: live, cached by a thread, or in a chain
  size_t blocks_chained;
  size_t slab_bytes;
};

HAK_BEGIN_DECLARATIONS
// How many blocks a full chain of a class has.
HAK_INTERNAL uint32_t shared_pool_chain_blocks(unsigned size_class);
// Blocks of a class: a chain of any length, or about wanted blocks (at most a full chain) from the slabs. An empty chain
// if there is no memory.
HAK_INTERNAL struct chain shared_pool_take(unsigned size_class, uint32_t wanted);
// Exactly one block, for threads that keep no cache. NULL if there is no memory.
HAK_INTERNAL struct block *shared_pool_take_block(unsigned size_class);
// Takes a chain over. True if the class's slabs are mostly free: then each block that the caller still keeps may be all that
// keeps a slab, and should be given too.
HAK_INTERNAL bool shared_pool_give(unsigned size_class, struct chain chain);
// Takes a chain over and sorts its blocks back into their slabs at once.
HAK_INTERNAL void shared_pool_sort_back(unsigned size_class, struct chain chain);
// Sorts every chain back. Slabs that become empty go back to the page arena.
HAK_INTERNAL void shared_pool_drain(void);
HAK_INTERNAL void shared_pool_read_statistics(unsigned size_class, struct shared_pool_statistics *statistics);
// For fork: holds the layer's locks.
HAK_INTERNAL void shared_pool_lock_all(void);
HAK_INTERNAL void shared_pool_unlock_all(void);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_SHARED_POOL_SHARED_POOL_H_
