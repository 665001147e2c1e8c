// SPDX-License-Identifier: Apache-2.0
//
// The blocks of one slab run: carving fresh ones, and the list of those that came back. Layer: shared_pool; internal to
// it. Guarded by the lock of the run's class, but for slab_blocks_carve, whose blocks nobody else knows yet.

#ifndef ALLOCATOR_SHARED_POOL_SLAB_BLOCKS_H_
#define ALLOCATOR_SHARED_POOL_SLAB_BLOCKS_H_

#include "allocator/page_arena/block_record.h"
#include "allocator/page_arena/page_arena.h"

HAK_BEGIN_DECLARATIONS
// Prepares a run that was just taken from the page arena. False if there is no memory for the Box's records.
HAK_INTERNAL bool slab_blocks_begin(struct slab *run);
// For the Box: every block of a run that is about to be given back is free and as it was left. Reports misuse otherwise.
// Holds no lock.
HAK_INTERNAL void slab_blocks_end(struct slab *run);
// Blocks that a run can still give, listed and uncarved.
HAK_INTERNAL uint32_t slab_blocks_available(const struct slab *run);
// Takes up to wanted blocks out of the run's free list and puts them in front of the chain.
HAK_INTERNAL void slab_blocks_take_listed(struct slab *run, uint32_t wanted, struct chain *chain);
// Reserves up to wanted fresh blocks and returns how many; *first is the number of the first one.
HAK_INTERNAL uint32_t slab_blocks_reserve(struct slab *run, uint32_t wanted, uint32_t *first);
// Writes headers and links of reserved blocks, and puts them in front of the chain. This touches their memory.
HAK_INTERNAL void slab_blocks_carve(const struct slab *run, uint32_t first, uint32_t count, struct chain *chain);
// Puts one block back.
HAK_INTERNAL void slab_blocks_put(struct slab *run, struct block *block);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_SHARED_POOL_SLAB_BLOCKS_H_
