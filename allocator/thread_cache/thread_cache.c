// SPDX-License-Identifier: Apache-2.0
//
// The slow half of the thread cache: refill, flush, the first call and the last call of a thread, fork. Layer:
// thread_cache; calls the shared pool. Lock: only the list of records has one; a cache belongs to its thread.
// Test: tests/unit/thread_cache_test.cc.

#include "allocator/thread_cache/thread_cache.h"

#include "allocator/base/atomics.h"
#include "allocator/base/options.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/os/os.h"
#include "allocator/page_arena/free_memory.h"
#include "allocator/shared_pool/record_table.h"
#include "allocator/shared_pool/shared_pool.h"
#include "allocator/thread_cache/thread_record.h"

HAK_INTERNAL_DEFINITION HAK_THREAD_LOCAL struct thread_cache thread_cache;

// The first refill of a class takes about this much, and every further one twice as much as the one before, up to a full
// chain: a thread that needs few blocks touches little memory.
#define FIRST_REFILL_BYTES 2048

static void moving_begin(struct thread_record *record) {
  atomic_write_relaxed(&record->moving, record->moving + 1);
  HAK_COMPILER_BARRIER();
}

static void moving_end(struct thread_record *record) {
  HAK_COMPILER_BARRIER();
  atomic_write_relaxed(&record->moving, record->moving - 1);
}

// The list of a class as a chain; the list is empty afterwards and has its full room.
static struct chain take_list(struct thread_record *record, unsigned size_class) {
  struct thread_cache *cache = record->cache;
  uint32_t full = record->full[size_class];
  if (HAK_SEED_BUG_IF(68, full != shared_pool_chain_blocks(size_class))) full = shared_pool_chain_blocks(size_class);
  struct chain chain = {cache->heads[size_class], full - (uint32_t)cache->rooms[size_class]};
  cache->heads[size_class] = NULL;
  cache->rooms[size_class] = (int32_t)full;
  return chain;
}

static struct chain take_spare(struct thread_record *record, unsigned size_class) {
  struct chain spare = record->spare[size_class];
  record->spare[size_class] = (struct chain){NULL, 0};
  return spare;
}

// How many blocks an empty list may take, from now on.
static void set_full(struct thread_record *record, unsigned size_class, uint32_t full) {
  record->full[size_class] = (uint16_t)full;
  record->cache->rooms[size_class] = (int32_t)full;
}

static uint32_t first_refill(unsigned size_class) {
  uint32_t blocks = FIRST_REFILL_BYTES / size_classes[size_class].stride;
  uint32_t full = shared_pool_chain_blocks(size_class);
  return blocks == 0 ? 1 : blocks < full ? blocks : full;
}

// Gives the calling thread its cache. False where it has none and gets none.
static bool attach(void) {
  if (thread_cache.state != THREAD_NEW) return thread_cache.state == THREAD_ATTACHED;
  thread_cache.state = THREAD_ATTACHING;
  // Without the hook nobody would take the cache back when the thread ends.
  struct thread_record *record = thread_record_take(&thread_cache);
  if (record == NULL) {
    thread_cache.state = THREAD_NEW;
    return false;
  }
  if (!os_thread_hook_arm(record)) {
    thread_record_give(record);
    thread_cache.state = THREAD_WITHOUT_CACHE;
    return false;
  }
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; size_class++) {
    set_full(record, size_class, shared_pool_chain_blocks(size_class));
    record->wanted[size_class] = (uint16_t)first_refill(size_class);
  }
  for (unsigned size_class = 0; HAK_CHECKS_LEVEL == HAK_CHECKS_BOX && size_class < HAK_CLASS_COUNT; size_class++) {
    quarantine_begin(&record->quarantines[size_class], size_class);
  }
  thread_cache.record = record;
  thread_cache.state = THREAD_ATTACHED;
  return true;
}

static struct chain next_chain(struct thread_record *record, unsigned size_class) {
  struct chain chain = record->spare[size_class];
  if (chain.count > 0) {
    if (!HAK_SEED_BUG(69)) record->spare[size_class] = (struct chain){NULL, 0};
    return chain;
  }
  uint32_t wanted = record->wanted[size_class];
  uint32_t full = shared_pool_chain_blocks(size_class);
  if (wanted < full) record->wanted[size_class] = (uint16_t)(2 * wanted < full ? 2 * wanted : full);
  return shared_pool_take(size_class, wanted);
}

HAK_COLD struct block *thread_cache_refill(unsigned size_class) {
  if (!attach()) {
    struct block *block = shared_pool_take_block(size_class);
    if (block == NULL) return NULL;
    if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) box_check_listed(size_class, block, block_record_of(block));
    if (HAK_CHECKS_LEVEL != HAK_CHECKS_BOX) block_header_set(block, block_header_live(size_class));
    return block;
  }
  struct thread_record *record = thread_cache.record;
  moving_begin(record);
  struct chain chain = next_chain(record, size_class);
  set_full(record, size_class, shared_pool_chain_blocks(size_class));
  thread_cache.heads[size_class] = chain.head;
  thread_cache.rooms[size_class] -= (int32_t)chain.count;
  moving_end(record);
  return thread_cache_pop(size_class);
}

HAK_COLD void thread_cache_no_room(unsigned size_class) {
  if (thread_cache.rooms[size_class] < 0 && !HAK_SEED_BUG_IF(70, size_class != 0)) thread_cache.rooms[size_class] = 0;
}

// Where a class's slabs are mostly free, a thread keeps no more blocks of it than these in its list, and in its spare chain.
#define SPARSE_LIST 4

// The full list becomes the spare chain, and a spare chain that is there goes to the pool. With the Box a slab that goes back
// is looked at, and a handler may use the list and the spare chain meanwhile: nothing is known of them afterwards.
static void flush_list(struct thread_record *record, unsigned size_class) {
  moving_begin(record);
  struct chain spare = take_spare(record, size_class);
  record->spare[size_class] = take_list(record, size_class);
  if (spare.count > 0 && !HAK_SEED_BUG(71) && shared_pool_give(size_class, spare)) {
    struct chain listed = take_spare(record, size_class);
    if (listed.count > 0) shared_pool_sort_back(size_class, listed);
    uint32_t full = shared_pool_chain_blocks(size_class);
    if (record->cache->heads[size_class] == NULL) set_full(record, size_class, full < SPARSE_LIST ? full : SPARSE_LIST);
  }
  moving_end(record);
}

HAK_COLD void thread_cache_push_slowly(unsigned size_class, struct block *block) {
  if (!attach()) {
    block_header_set(block, block_header_listed(size_class));
    if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) {
      atomic_write_relaxed(&block_record_of(block)->state, BLOCK_IN_HAND);
      HAK_COMPILER_BARRIER();
      block_record_of(block)->link = NULL;
      block_link_set(block, NULL);
    }
    shared_pool_sort_back(size_class, (struct chain){block, 1});
    return;
  }
  while (thread_cache.rooms[size_class] == 0) flush_list(thread_cache.record, size_class);
  thread_cache_push(size_class, block);
}

HAK_COLD struct quarantine *thread_cache_quarantine(unsigned size_class) {
  int error = os_error_get();
  bool attached = attach();
  os_error_set(error);
  return attached ? &thread_cache.record->quarantines[size_class] : NULL;
}

HAK_COLD void thread_cache_push_retired(unsigned size_class, struct block *block) {
  int error = os_error_get();
  if (!thread_cache_push(size_class, block)) {
    thread_cache_no_room(size_class);
    thread_cache_push_slowly(size_class, block);
  }
  if (!HAK_SEED_BUG(72)) os_error_set(error);
}

static void report_large(const struct large_place *place, uintptr_t wrong) {
  struct block_record *record = large_block_record(place);
  struct hak_misuse misuse = {.kind = HAK_MISUSE_WRITE_AFTER_FREE,
                              .function = "free",
                              .pointer = (const void *)wrong,
                              .block = (const void *)large_block_address(place),
                              .usable_size = large_block_capacity(place)};
  block_record_describe(record, &misuse);
  // hak_check_heap need not say it once more.
  record->filled = 0;
  misuse_report(&misuse);
}

static void release_large(struct thread_record *record) {
  struct large_place place;
  struct quarantine *quarantine = &record->quarantines[0];
  void *user = user_of_block(quarantine->first);
  if (!large_block_find((uintptr_t)user, &place)) return;
  quarantine_remove(quarantine, large_block_record(&place));
  if (!HAK_SEED_BUG(73)) record->quarantined_large_bytes -= large_block_capacity(&place);
  uintptr_t wrong = free_memory_check(place.start, place.bytes);
  if (wrong != 0) report_large(&place, wrong);
  (void)large_block_free(user);
}

// Only the first bytes are looked at here: a link comes there. The rest is checked when the block leaves its list.
HAK_COLD void thread_cache_release(struct quarantine *quarantine, unsigned size_class) {
  struct block *block = quarantine->first;
  struct block_record *record = block_record_of(block);
  quarantine_remove(quarantine, record);
  uintptr_t wrong = free_memory_check_fill((uintptr_t)block, sizeof *block);
  if (wrong != 0) block_record_report_free(size_class, block, record, "free");
  if (wrong != 0 && HAK_SEED_BUG(74)) return;
  thread_cache_push_retired(size_class, block);
}

void thread_cache_retire_large(void *user, struct block_record *block, size_t bytes) {
  struct thread_record *record = attach() ? thread_cache.record : NULL;
  size_t limit = (size_t)options.box_quarantine_kib << 10;
  if (record == NULL || record->quarantines[0].least == 0 || bytes > limit) {
    (void)large_block_free(user);
    return;
  }
  quarantine_add(&record->quarantines[0], block_of_user(user), block);
  record->quarantined_large_bytes += bytes;
  while (record->quarantines[0].count > record->quarantines[0].least || record->quarantined_large_bytes > limit) {
    release_large(record);
  }
}

// Lets every quarantined block go. Whether there was one.
static bool release_quarantined(struct thread_record *record) {
  bool any = record->quarantines[0].count > 0;
  while (record->quarantines[0].count > 0) release_large(record);
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; size_class++) {
    struct quarantine *quarantine = &record->quarantines[size_class];
    any = any || quarantine->count > 0;
    while (quarantine->count > 0) thread_cache_release(quarantine, size_class);
  }
  return any;
}

static void give_chain(unsigned size_class, struct chain chain) { (void)shared_pool_give(size_class, chain); }

// Gives all blocks of a cache away. The lists are empty afterwards and have their full room, unless a handler was called for
// what was found in a slab. Whether there was a block.
static bool give_all(struct thread_record *record, void (*give)(unsigned size_class, struct chain chain)) {
  bool any = false;
  moving_begin(record);
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; size_class++) {
    struct chain listed = take_list(record, size_class);
    struct chain spare = take_spare(record, size_class);
    any = any || listed.count + spare.count > 0;
    if (listed.count > 0) give(size_class, listed);
    if (spare.count > 0 && !HAK_SEED_BUG(75)) give(size_class, spare);
  }
  moving_end(record);
  return any;
}

void thread_cache_drain(void) {
  if (thread_cache.state != THREAD_ATTACHED) return;
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) (void)release_quarantined(thread_cache.record);
  (void)give_all(thread_cache.record, shared_pool_sort_back);
}

// The last thing a thread does. Destructors that run later still may allocate and free: they do so without a cache.
// The hook's value is not looked at: a second C library in the process (dlmopen) hands out the same thread keys again, and
// the value may be that of a second hakmem.
static void detach(void *value) {
  (void)value;
  if (thread_cache.state != THREAD_ATTACHED) return;
  struct thread_record *record = thread_cache.record;
  int error = os_error_get();
  // What a handler of the Box uses meanwhile comes into the cache again: until nothing is left, and nobody was called.
  bool any;
  do {
    any = HAK_CHECKS_LEVEL == HAK_CHECKS_BOX && !HAK_SEED_BUG(76) && release_quarantined(record);
    if (!HAK_SEED_BUG(77)) any = give_all(record, give_chain) || any;
  } while (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX && any);
  thread_cache.state = THREAD_WITHOUT_CACHE;
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; size_class++) thread_cache.rooms[size_class] = 0;
  thread_cache.record = NULL;
  thread_record_give(record);
  os_error_set(error);
}

void thread_cache_initialize(void) { (void)os_thread_hook_create(detach); }

// Other threads' counts are read while they may change: a snapshot, and said to be one.
HAK_NO_THREAD_SANITIZER static uint32_t read_count(unsigned size_class, const struct thread_record *record) {
  uint32_t room = (uint32_t)*(const volatile int32_t *)&record->cache->rooms[size_class];
  uint32_t full = *(const volatile uint16_t *)&record->full[size_class];
  uint32_t spare = *(const volatile uint32_t *)&record->spare[size_class].count;
  uint32_t quarantined = *(const volatile uint32_t *)&record->quarantines[size_class].count;
  return (room <= full ? full - room : 0) + (HAK_SEED_BUG_IF(78, spare != 0) ? 0 : spare) + quarantined;
}

size_t thread_cache_count_blocks(unsigned size_class) {
  size_t blocks = 0;
  thread_record_lock();
  for (struct thread_record *record = thread_record_first(); record != NULL; record = record->next) {
    blocks += read_count(size_class, record);
  }
  thread_record_unlock();
  return blocks;
}

HAK_NO_THREAD_SANITIZER static void add_large(const struct thread_record *record, size_t *blocks, size_t *bytes) {
  *blocks += *(const volatile uint32_t *)&record->quarantines[0].count;
  *bytes += *(const volatile size_t *)&record->quarantined_large_bytes;
}

void thread_cache_count_large(size_t *blocks, size_t *bytes) {
  *blocks = *bytes = 0;
  thread_record_lock();
  for (struct thread_record *record = thread_record_first(); record != NULL; record = record->next) {
    add_large(record, blocks, bytes);
  }
  thread_record_unlock();
}

size_t thread_cache_count_threads(void) {
  size_t threads = 0;
  thread_record_lock();
  for (struct thread_record *record = thread_record_first(); record != NULL; record = record->next) threads++;
  thread_record_unlock();
  return threads;
}

void thread_cache_lock_all(void) { thread_record_lock(); }
void thread_cache_unlock_all(void) { thread_record_unlock(); }

// The other threads stopped at any point, one of them perhaps between the stores of a push: their lists are whole, but a
// count may be off by one. So it is counted again.
static uint32_t count_list(const struct block *block) {
  uint32_t count = 0;
  for (; block != NULL; block = block_next(block)) count++;
  return count;
}

// What another thread had in quarantine when the process forked.
static void adopt_quarantines(struct thread_record *record) {
  while (record->quarantines[0].count > 0 && record->quarantines[0].first != NULL) release_large(record);
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; size_class++) {
    struct block *block = record->quarantines[size_class].first;
    for (uint32_t i = 0; i < record->quarantines[size_class].count && block != NULL; i++) {
      struct block *next = block_next(block);
      block_link_set(block, NULL);
      block_record_of(block)->link = NULL;
      shared_pool_sort_back(size_class, (struct chain){block, 1});
      block = next;
    }
  }
}

void thread_cache_adopt_after_fork(void) {
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) {
    box_thread_id = 0;
    record_table_forget_readers();
  }
  struct thread_record *record = thread_record_first();
  while (record != NULL) {
    struct thread_record *next = record->next;
    if (record->cache != &thread_cache) {
      // A thread that was moving lists about loses its cache: its lists may be in two places at once.
      for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT && record->moving == 0; size_class++) {
        struct chain listed = {record->cache->heads[size_class], 0};
        listed.count = count_list(listed.head);
        if (listed.count > 0) shared_pool_give(size_class, listed);
        if (record->spare[size_class].count > 0) shared_pool_give(size_class, record->spare[size_class]);
      }
      if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX && record->moving == 0) adopt_quarantines(record);
      if (!HAK_SEED_BUG(79)) thread_record_give(record);
    }
    record = next;
  }
}
