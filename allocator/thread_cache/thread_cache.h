// SPDX-License-Identifier: Apache-2.0
//
// The thread cache: the only hot code in the product. One thread, no lock, no atomic operation. Per size class, a singly
// linked list of free blocks in thread-local storage (the TLS SLL) and the room that is left in it. Layer: thread_cache.
// Currency: the block, to the layer above; the chain, to the shared pool.
//
// All zero is a valid state, in which both ways out lead to the slow path: pop finds no block, push no room. So a thread
// needs no initialisation before its first call, and class 0, which is never given any room, sorts out large blocks and
// foreign pointers without a branch of its own.

#ifndef ALLOCATOR_THREAD_CACHE_THREAD_CACHE_H_
#define ALLOCATOR_THREAD_CACHE_THREAD_CACHE_H_

#include "allocator/base/block.h"
#include "allocator/base/options.h"
#include "allocator/base/size_class.h"
#include "allocator/thread_cache/box.h"
#include "allocator/thread_cache/quarantine.h"

struct thread_cache {
  // Two arrays, not one of pairs: the class then is an index that needs no multiplication.
  struct block *heads[HAK_CLASS_COUNT];
  int32_t rooms[HAK_CLASS_COUNT];  // how many more blocks fit; a full list becomes the spare chain
  struct thread_record *record;    // the cold part; NULL while the thread has none
  uint32_t state;                  // enum thread_state
};

HAK_BEGIN_DECLARATIONS
HAK_INTERNAL_DATA HAK_THREAD_LOCAL struct thread_cache thread_cache;

// A block of a class whose list is empty. NULL if there is no memory.
HAK_INTERNAL struct block *thread_cache_refill(unsigned size_class);
// For the Box. The quarantine of a class, or NULL where the thread has no cache.
HAK_INTERNAL struct quarantine *thread_cache_quarantine(unsigned size_class);
// Lets the oldest block of a quarantine go to the list of its class.
HAK_INTERNAL void thread_cache_release(struct quarantine *quarantine, unsigned size_class);
// A large block, of so many bytes, whose life has ended: quarantines it, or frees it.
HAK_INTERNAL void thread_cache_retire_large(void *user, struct block_record *record, size_t bytes);
// Pushes a small block whose life has ended, past the quarantine.
HAK_INTERNAL void thread_cache_push_retired(unsigned size_class, struct block *block);
// Large blocks in quarantine, and their usable bytes.
HAK_INTERNAL void thread_cache_count_large(size_t *blocks, size_t *bytes);
// Pushes a block whose list has no room.
HAK_INTERNAL void thread_cache_push_slowly(unsigned size_class, struct block *block);
// The calling thread's push found no room: undoes what it did to the count. Class 0 has nothing else to do.
HAK_INTERNAL void thread_cache_no_room(unsigned size_class);
// Gives the calling thread's blocks to their slabs; the thread may go on.
HAK_INTERNAL void thread_cache_drain(void);
// Creates the hook by which threads that end give everything back. Once per process.
HAK_INTERNAL void thread_cache_initialize(void);
// Blocks of a class in all threads' caches, exact while those threads are quiet; and how many threads have a cache.
HAK_INTERNAL size_t thread_cache_count_blocks(unsigned size_class);
HAK_INTERNAL size_t thread_cache_count_threads(void);

// For fork: holds the layer's lock.
HAK_INTERNAL void thread_cache_lock_all(void);
HAK_INTERNAL void thread_cache_unlock_all(void);
// In a child, after the locks have been released: takes over what the threads that do not exist there had cached.
HAK_INTERNAL void thread_cache_adopt_after_fork(void);
HAK_END_DECLARATIONS

// The calling thread's cache. The address is computed once and then kept: compilers would otherwise compute parts of it
// again for each access.
HAK_INLINE struct thread_cache *thread_cache_get(void) {
  struct thread_cache *cache = &thread_cache;
  __asm__("" : "+r"(cache));
  return cache;
}

// Takes one from the room of a class. True if there was none; the room is negative then. Two instructions with the
// branch that follows; left to themselves, the compilers take four or five.
HAK_INLINE bool thread_cache_use_room(struct thread_cache *cache, size_t size_class) {
#if defined(__x86_64__) && defined(__GCC_ASM_FLAG_OUTPUTS__)
  bool negative;
  __asm__ volatile("subl $1, %c[rooms](%[cache],%[index],4)"
                   : "=@ccs"(negative)
                   : [cache] "r"(cache), [index] "r"(size_class), [rooms] "i"(offsetof(struct thread_cache, rooms))
                   : "memory");
  return negative;
#else
  return --cache->rooms[size_class] < 0;
#endif
}

// Takes a block of a class. NULL where the list is empty: then thread_cache_refill has one.
HAK_INLINE struct block *thread_cache_pop(size_t size_class) {
  struct thread_cache *cache = thread_cache_get();
  struct block *block = cache->heads[size_class];
  if (HAK_UNLIKELY(block == NULL)) return NULL;
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) {
    cache->heads[size_class] = block_next(block);
  } else {
    cache->heads[size_class] = block_link_get(block);
  }
  cache->rooms[size_class]++;
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) box_check_listed((unsigned)size_class, block, block_record_of(block));
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_CHECKED) block_header_set(block, block_header_live((unsigned)size_class));
  return block;
}

// Pushes a block of a class, or returns false where that is not for the fast path: the class is 0, the list is full, or, at
// checks level 1, the header is not that of a live block. thread_cache_no_room must be called then.
HAK_INLINE bool thread_cache_push(size_t size_class, struct block *block) {
  struct thread_cache *cache = thread_cache_get();
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_CHECKED) {
    if (HAK_UNLIKELY(size_class == 0)) return false;
    if (HAK_UNLIKELY(block_header_get(block) != block_header_live((unsigned)size_class))) return false;
  }
  // Its header says that it is free since box_note_free.
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX && HAK_UNLIKELY(options.box_scan) &&
      !box_scan_list((unsigned)size_class, block, cache->heads[size_class]))
    return true;
  if (HAK_UNLIKELY(thread_cache_use_room(cache, size_class))) return false;
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_CHECKED) block_header_set(block, block_header_free((unsigned)size_class));
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) {
    struct block_record *record = block_record_of(block);
    atomic_write_relaxed(&record->state, BLOCK_IN_HAND);
    HAK_COMPILER_BARRIER();
    record->link = cache->heads[size_class];
  }
  block_link_set(block, cache->heads[size_class]);
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) box_leave(block_record_of(block), HAK_BLOCK_CACHED);
  // In this order also in memory: a fork at any point then finds a list that is whole.
  HAK_COMPILER_BARRIER();
  cache->heads[size_class] = block;
  // Without checks no list depends on headers, and written last it needs one register less.
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_DIRECT) block_header_set(block, block_header_listed((unsigned)size_class));
  return true;
}

#endif  // ALLOCATOR_THREAD_CACHE_THREAD_CACHE_H_
