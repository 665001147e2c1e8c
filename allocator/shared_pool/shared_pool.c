// SPDX-License-Identifier: Apache-2.0
//
// Chains and partial slabs per class. Layer: shared_pool; calls the page arena. Lock: one per class; at most one of them
// is held at a time, but by fork. Test: tests/unit/shared_pool_test.cc.

#include "allocator/shared_pool/shared_pool.h"

#include "allocator/base/options.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/base/size_class.h"
#include "allocator/os/lock.h"
#include "allocator/page_arena/page_arena.h"
#include "allocator/shared_pool/record_table.h"
#include "allocator/shared_pool/slab_blocks.h"

// A chain of the largest classes still has this many blocks, or every free would visit the pool.
#define CHAIN_BLOCKS_MIN 4

static struct pool_class {
  struct lock lock;
  uint32_t chain_count;
  struct slab *partial;  // runs that can give blocks
  size_t blocks_carved;
  size_t blocks_outside;
  size_t slab_bytes;
  struct chain chains[HAK_POOL_CHAINS_MAX];
} HAK_CACHE_ALIGNED pool_classes[HAK_CLASS_COUNT];

uint32_t shared_pool_chain_blocks(unsigned size_class) {
  size_t blocks = ((size_t)options.chain_kib << 10) / size_classes[size_class].stride;
  if (blocks < CHAIN_BLOCKS_MIN) return CHAIN_BLOCKS_MIN;
  bool limited = blocks > HAK_CHAIN_BLOCKS_MAX && !HAK_SEED_BUG_IF(59, blocks > UINT16_MAX);
  return limited ? HAK_CHAIN_BLOCKS_MAX : (uint32_t)blocks;
}

static void partial_add(struct pool_class *pool, struct slab *run) {
  run->previous = NULL;
  run->next = pool->partial;
  if (run->next != NULL) run->next->previous = run;
  pool->partial = run;
}

static void partial_remove(struct pool_class *pool, struct slab *run) {
  *(run->previous == NULL ? &pool->partial : &run->previous->next) = run->next;
  if (run->next != NULL) run->next->previous = run->previous;
}

// Whether the class's slabs, if there are more than a few, are mostly free: each block outside may be all that keeps one.
#define SPARSE_RUNS 4
static bool is_sparse(const struct pool_class *pool, unsigned size_class) {
  size_t few = SPARSE_RUNS * ((size_t)size_classes[size_class].run_slabs << HAK_SLAB_SHIFT);
  return pool->blocks_outside < pool->blocks_carved / 4 && pool->slab_bytes > few;
}

// How many chains a class may keep. One with many blocks outside its slabs also fluctuates more: it may keep up to an eighth
// of them in chains, up to four times as many chains as the option says. One whose slabs are mostly free keeps none.
static uint32_t chain_limit(const struct pool_class *pool, unsigned size_class) {
  if (is_sparse(pool, size_class)) return 0;
  size_t eighth = pool->blocks_outside / 8 / shared_pool_chain_blocks(size_class);
  uint32_t least = options.pool_chains;
  uint32_t most = least * 4 < HAK_POOL_CHAINS_MAX ? least * 4 : HAK_POOL_CHAINS_MAX;
  return eighth < least ? least : eighth > most ? most : (uint32_t)eighth;
}

static struct slab *new_run(struct pool_class *pool, unsigned size_class) {
  bool zeroed;
  struct slab *run = page_arena_take_run(size_classes[size_class].run_slabs, size_class, &zeroed);
  if (run == NULL) return NULL;
  if (!slab_blocks_begin(run)) {
    if (!HAK_SEED_BUG(60)) page_arena_give_run(run);
    return NULL;
  }
  // Not before it has records: somebody may be looking for a pointer in it that is no block's.
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) registry_set_class(run, size_class);
  partial_add(pool, run);
  pool->slab_bytes += slab_run_bytes(run);
  return run;
}

// Takes wanted blocks from slabs, fewer where the slabs at hand have fewer. Takes and releases the lock.
static struct chain take_from_slabs(struct pool_class *pool, unsigned size_class, uint32_t wanted) {
  struct chain chain = {NULL, 0};
  struct slab *fresh = NULL;
  uint32_t fresh_first = 0, fresh_count = 0;
  while (chain.count < wanted && pool->partial != NULL && fresh_count == 0) {
    struct slab *run = pool->partial;
    slab_blocks_take_listed(run, wanted - chain.count, &chain);
    if (chain.count < wanted) {
      fresh_count = slab_blocks_reserve(run, wanted - chain.count, &fresh_first);
      fresh = run;
    }
    if (slab_blocks_available(run) == 0) partial_remove(pool, run);
  }
  if (chain.count + fresh_count == 0) {
    fresh = new_run(pool, size_class);
    if (fresh != NULL) {
      fresh_count = slab_blocks_reserve(fresh, wanted, &fresh_first);
      if (slab_blocks_available(fresh) == 0 && !HAK_SEED_BUG(61)) partial_remove(pool, fresh);
    }
  }
  pool->blocks_carved += fresh_count;
  uint32_t taken = chain.count + fresh_count;
  pool->blocks_outside += HAK_SEED_BUG_IF(62, taken < wanted) ? wanted : taken;
  lock_release(&pool->lock);
  page_arena_tick();
  // Outside the lock, because carving meets fresh pages. The run cannot go away: these blocks are in use.
  if (fresh_count > 0) slab_blocks_carve(fresh, fresh_first, fresh_count, &chain);
  return chain;
}

struct chain shared_pool_take(unsigned size_class, uint32_t wanted) {
  struct pool_class *pool = &pool_classes[size_class];
  lock_acquire(&pool->lock);
  if (pool->chain_count > 0) {
    struct chain chain = pool->chains[--pool->chain_count];
    lock_release(&pool->lock);
    return chain;
  }
  return take_from_slabs(pool, size_class, wanted);
}

struct block *shared_pool_take_block(unsigned size_class) {
  struct pool_class *pool = &pool_classes[size_class];
  lock_acquire(&pool->lock);
  return take_from_slabs(pool, size_class, 1).head;
}

// Puts every block of a chain into its slab. Holds the lock. Runs that became empty are put in front of *empty.
static void sort_back(struct pool_class *pool, struct chain chain, struct slab **empty) {
  pool->blocks_outside -= chain.count;
  struct block *block = chain.head;
  for (uint32_t i = 0; i < chain.count - HAK_SEED_BUG(63); i++) {
    struct block *next = block_next(block);
    struct slab *run = registry_find_run((uintptr_t)block);
    if (slab_blocks_available(run) == 0 && !HAK_SEED_BUG(64)) partial_add(pool, run);
    slab_blocks_put(run, block);
    if (run->used == 0) {
      partial_remove(pool, run);
      pool->blocks_carved -= run->carved;
      pool->slab_bytes -= slab_run_bytes(run);
      run->next = *empty;
      *empty = run;
    }
    block = next;
  }
}

// Releases the lock, and gives back what became empty under it.
static void release_and_give(struct pool_class *pool, struct slab *empty) {
  lock_release(&pool->lock);
  while (empty != NULL) {
    struct slab *run = empty;
    empty = run->next;
    slab_blocks_end(run);
    // Somebody else may have the run as soon as it is given back.
    struct block_record *records = run->records;
    unsigned record_pages = run->record_pages;
    page_arena_give_run(run);
    if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) record_table_give(records, record_pages);
  }
}

bool shared_pool_give(unsigned size_class, struct chain chain) {
  struct pool_class *pool = &pool_classes[size_class];
  if (!HAK_SEED_BUG(65)) lock_acquire(&pool->lock);
  struct slab *empty = NULL;
  uint32_t limit = chain_limit(pool, size_class);
  if (HAK_LIKELY(pool->chain_count < limit + HAK_SEED_BUG_IF(66, pool->chain_count == limit))) {
    pool->chains[pool->chain_count++] = chain;
  } else {
    sort_back(pool, chain, &empty);
    // The limit falls while the class shrinks.
    if (pool->chain_count > limit) sort_back(pool, pool->chains[--pool->chain_count], &empty);
  }
  bool sparse = is_sparse(pool, size_class);
  release_and_give(pool, empty);
  page_arena_tick();
  return sparse;
}

void shared_pool_sort_back(unsigned size_class, struct chain chain) {
  struct pool_class *pool = &pool_classes[size_class];
  struct slab *empty = NULL;
  lock_acquire(&pool->lock);
  sort_back(pool, chain, &empty);
  release_and_give(pool, empty);
}

void shared_pool_drain(void) {
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; size_class++) {
    struct pool_class *pool = &pool_classes[size_class];
    struct slab *empty = NULL;
    lock_acquire(&pool->lock);
    while (pool->chain_count > HAK_SEED_BUG(67)) sort_back(pool, pool->chains[--pool->chain_count], &empty);
    release_and_give(pool, empty);
  }
}

void shared_pool_read_statistics(unsigned size_class, struct shared_pool_statistics *statistics) {
  struct pool_class *pool = &pool_classes[size_class];
  lock_acquire(&pool->lock);
  statistics->blocks_carved = pool->blocks_carved;
  statistics->blocks_outside = pool->blocks_outside;
  statistics->slab_bytes = pool->slab_bytes;
  statistics->blocks_chained = 0;
  for (uint32_t i = 0; i < pool->chain_count; i++) statistics->blocks_chained += pool->chains[i].count;
  lock_release(&pool->lock);
}

void shared_pool_lock_all(void) {
  for (unsigned size_class = 0; size_class < HAK_CLASS_COUNT; size_class++) {
    lock_acquire(&pool_classes[size_class].lock);
  }
  record_table_lock();
}

void shared_pool_unlock_all(void) {
  record_table_unlock();
  for (unsigned size_class = HAK_CLASS_COUNT; size_class-- > 0;) lock_release(&pool_classes[size_class].lock);
}
