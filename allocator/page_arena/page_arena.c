// SPDX-License-Identifier: Apache-2.0
//
// Runs and spans. Superslabs with free slabs are kept in lists by the length of their longest free run; a run is cut
// from the shortest one that fits, preferring memory that is still resident. Layer: page_arena; calls os, and the other
// files of its layer. Lock: page_arena.lock. Test: tests/unit/page_arena_test.cc.

#include "allocator/page_arena/page_arena.h"

#include <string.h>

#include "allocator/base/options.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/os/lock.h"
#include "allocator/os/os.h"
#include "allocator/page_arena/free_memory.h"
#include "allocator/page_arena/metadata.h"
#include "allocator/page_arena/purge.h"
#include "allocator/page_arena/span.h"
#include "allocator/page_arena/stack_depot.h"

#define ALL_SLABS UINT32_MAX
// A tick purges no more superslabs than this, so that no call takes long, unless memory shall go back at once.
#define PURGE_PER_TICK 16

static struct {
  struct lock lock;
  bool initialized;
  // Superslabs in state SUPERSLAB_SLABS, by longest free run; bit n of lists_in_use: by_longest_run[n] is not empty.
  uint64_t lists_in_use;
  struct superslab *by_longest_run[HAK_SUPERSLAB_SLABS + 1];
  ptrdiff_t large_blocks, large_usable_bytes, large_bytes;
} arena;

bool page_arena_initialize(void) {
  lock_acquire(&arena.lock);
  if (!arena.initialized) arena.initialized = registry_initialize();
  bool initialized = arena.initialized;
  lock_release(&arena.lock);
  return initialized;
}

static uint32_t mask_of(unsigned first, unsigned count) {
  return (uint32_t)((((uint64_t)1 << (HAK_SEED_BUG_IF(12, count == 32) ? count % 32 : count)) - 1) << first);
}

// The bits at which count set bits in a row begin.
static uint32_t runs_of(uint32_t bits, unsigned count) {
  for (unsigned have = 1; have < count && bits != 0;) {
    unsigned shift = have <= count - have ? have : count - have;
    bits &= bits >> shift;
    have += shift;
  }
  return bits;
}

static unsigned longest_run_of(uint32_t bits) {
  unsigned length = 0;
  for (; bits != 0; bits &= bits >> 1) length++;
  return length;
}

static void list_remove(struct superslab *superslab) {
  unsigned list = superslab->longest_run;
  *(superslab->previous == NULL ? &arena.by_longest_run[list] : &superslab->previous->next) = superslab->next;
  if (superslab->next != NULL) superslab->next->previous = superslab->previous;
  if (arena.by_longest_run[list] == NULL) arena.lists_in_use &= ~((uint64_t)1 << list);
}

static void list_add(struct superslab *superslab) {
  unsigned list = longest_run_of(superslab->free_slabs);
  superslab->longest_run = (uint8_t)list;
  superslab->previous = NULL;
  superslab->next = arena.by_longest_run[list];
  if (superslab->next != NULL) superslab->next->previous = superslab;
  arena.by_longest_run[list] = superslab;
  arena.lists_in_use |= (uint64_t)1 << list;
}

// Takes these slabs, which are free, out of the superslab's free ones. Returns whether all are known to be zero.
static bool take_slabs(struct superslab *superslab, uint32_t slabs) {
  bool zeroed = HAK_SEED_BUG(13) ? (superslab->zero_slabs & slabs) != 0 : (superslab->zero_slabs & slabs) == slabs;
  superslab->free_slabs &= ~slabs;
  if (!HAK_SEED_BUG(14)) superslab->zero_slabs &= ~slabs;
  purge_unmark_dirty(superslab, slabs);
  return zeroed;
}

static void describe_run(struct slab *run, unsigned slabs, unsigned size_class) {
  for (unsigned i = 0; i < slabs; i++) {
    run[i].state = size_class == 0 ? SLAB_LARGE : SLAB_CLASS;
    run[i].run_index = (uint8_t)i;
  }
  run->size_class = (uint8_t)size_class;
  run->run_slabs = (uint8_t)slabs;
}

// Where nothing is left, free superslabs that wait for their purge may still hold what is missing.
static struct superslab *span_take_or_purge(size_t count, size_t alignment) {
  struct superslab *span = span_take(count, alignment);
  if (span == NULL && purge_due(os_clock_milliseconds(), SIZE_MAX) > 0) span = span_take(count, alignment);
  return span;
}

// The records of a superslab's slabs, made when it is divided for the first time. False if there is no memory.
static bool have_slab_records(struct superslab *superslab) {
  if (superslab->slabs != NULL) return true;
  superslab->slabs = metadata_allocate(HAK_SUPERSLAB_SLABS * sizeof(struct slab));
  if (superslab->slabs == NULL) return false;
  for (unsigned i = 0; i < HAK_SUPERSLAB_SLABS; i++) {
    struct slab *slab = &superslab->slabs[i];
    slab->address = superslab->address + ((uintptr_t)i << HAK_SLAB_SHIFT);
    slab->superslab = superslab;
    slab->number = (uint8_t)i;
  }
  return true;
}

// A superslab with so many free slabs in a row. It is in no list.
static struct superslab *superslab_for_run(unsigned slabs) {
  uint64_t candidates = arena.lists_in_use >> slabs << slabs;
  if (candidates != 0) {
    struct superslab *superslab = arena.by_longest_run[__builtin_ctzll(candidates)];
    list_remove(superslab);
    return superslab;
  }
  struct superslab *superslab = span_take_or_purge(1, HAK_SUPERSLAB_BYTES);
  if (superslab == NULL) return NULL;
  if (!have_slab_records(superslab)) {
    if (!HAK_SEED_BUG(15)) span_give(superslab, 1);
    return NULL;
  }
  superslab->free_slabs = ALL_SLABS;
  superslab->state = SUPERSLAB_SLABS;
  for (unsigned i = 0; i < HAK_SUPERSLAB_SLABS; i++) superslab->slabs[i].state = SLAB_FREE;
  return superslab;
}

// What nobody uses any more. Holds no lock.
static void retire_memory(uintptr_t address, size_t bytes) {
  free_memory_fill(address, bytes);
  HAK_TRACK_FREED((void *)address, bytes);
}

struct slab *page_arena_take_run(unsigned slabs, unsigned size_class, bool *zeroed) {
  struct slab *run = NULL;
  lock_acquire(&arena.lock);
  struct superslab *superslab = superslab_for_run(slabs);
  if (superslab != NULL) {
    uint32_t starts = runs_of(superslab->free_slabs & superslab->dirty_slabs, slabs);
    if (starts == 0) starts = runs_of(superslab->free_slabs, slabs);
    unsigned first = (unsigned)__builtin_ctz(starts);
    *zeroed = take_slabs(superslab, mask_of(first, slabs));
    run = &superslab->slabs[first];
    describe_run(run, slabs, size_class);
    // With the Box the run has no records yet, so that this is for the shared pool to do.
    if (size_class != 0 && HAK_CHECKS_LEVEL != HAK_CHECKS_BOX) registry_set_class(run, size_class);
    list_add(superslab);
  }
  lock_release(&arena.lock);
  if (run != NULL && !free_memory_take(run->address, slab_run_bytes(run))) *zeroed = false;
  return run;
}

// Makes slabs of a superslab free and dirty. The superslab is in no list; it goes into one, or back to the window.
static void give_slabs(struct superslab *superslab, uint32_t slabs) {
  superslab->free_slabs |= slabs;
  purge_mark_dirty(superslab, slabs);
  if (superslab->free_slabs == ALL_SLABS) {
    superslab->state = SUPERSLAB_FREE;
    span_give(superslab, 1);
  } else {
    list_add(superslab);
  }
  purge_enqueue(superslab, os_clock_milliseconds());
}

void page_arena_give_run(struct slab *run) {
  struct superslab *superslab = run->superslab;
  retire_memory(run->address, slab_run_bytes(run));
  lock_acquire(&arena.lock);
  if (run->size_class != 0 && !HAK_SEED_BUG(16)) registry_set_class(run, 0);
  unsigned slabs = run->run_slabs;
  for (unsigned i = 0; i < slabs; i++) run[i].state = SLAB_FREE;
  list_remove(superslab);
  give_slabs(superslab, mask_of(run->number, slabs));
  lock_release(&arena.lock);
}

bool page_arena_resize_run(struct slab *run, unsigned slabs) {
  struct superslab *superslab = run->superslab;
  unsigned old_slabs = run->run_slabs;
  if (run->number + slabs > HAK_SUPERSLAB_SLABS + HAK_SEED_BUG_IF(17, run->number + slabs == HAK_SUPERSLAB_SLABS + 1))
    return false;
  bool done = true;
  size_t old_bytes = slab_run_bytes(run), bytes = (size_t)slabs << HAK_SLAB_SHIFT;
  if (bytes < old_bytes) retire_memory(run->address + bytes, old_bytes - bytes);
  lock_acquire(&arena.lock);
  if (slabs < old_slabs) {
    uint32_t tail = mask_of(run->number + slabs, old_slabs - slabs);
    for (unsigned i = slabs; i < old_slabs; i++) run[i].state = SLAB_FREE;
    describe_run(run, slabs, run->size_class);
    list_remove(superslab);
    give_slabs(superslab, tail);
  } else if (slabs > old_slabs) {
    uint32_t tail = mask_of(run->number + old_slabs, slabs - old_slabs);
    done = HAK_SEED_BUG(18) ? (superslab->free_slabs & tail) != 0 : (superslab->free_slabs & tail) == tail;
    if (done) {
      list_remove(superslab);
      take_slabs(superslab, tail);
      if (!HAK_SEED_BUG(19)) describe_run(run, slabs, run->size_class);
      list_add(superslab);
    }
  }
  lock_release(&arena.lock);
  if (done && bytes > old_bytes) (void)free_memory_take(run->address + old_bytes, bytes - old_bytes);
  return done;
}

// Marks count superslabs of a span in use.
static void enter_span(struct superslab *first, size_t count, enum superslab_state first_state) {
  struct superslab *superslab = first;
  for (size_t i = 0; i < count; i++) {
    if (i > 0) superslab = span_next(superslab);
    superslab->free_slabs = 0;
    if (!HAK_SEED_BUG_IF(20, superslab->dirty_slabs != 0)) purge_unmark_dirty(superslab, ALL_SLABS);
    superslab->state = (uint8_t)(i == 0 ? first_state : SUPERSLAB_SPAN_TAIL);
  }
}

// Makes count superslabs of a span free: dirty, unless their memory was purged already.
static void leave_span(struct superslab *first, size_t count, bool purged) {
  uint64_t now = os_clock_milliseconds();
  struct superslab *superslab = first;
  for (size_t i = 0; i < count; i++) {
    if (i > 0) superslab = span_next(superslab);
    superslab->state = SUPERSLAB_FREE;
    superslab->free_slabs = ALL_SLABS;
    superslab->zero_slabs = purged ? ALL_SLABS : 0;
    if (purged) continue;
    purge_mark_dirty(superslab, ALL_SLABS);
    purge_enqueue(superslab, now);
  }
  span_give(first, count);
}

// For the Box: what was known to be zero was written to, and filled.
static void forget_zero(struct superslab *span) {
  lock_acquire(&arena.lock);
  struct superslab *superslab = span;
  for (size_t i = 0; i < span->span_superslabs; i++) {
    if (i > 0) superslab = span_next(superslab);
    superslab->zero_slabs = 0;
  }
  lock_release(&arena.lock);
}

struct superslab *page_arena_take_span(size_t superslabs, size_t alignment) {
  if (alignment < HAK_SUPERSLAB_BYTES) alignment = HAK_SUPERSLAB_BYTES;
  lock_acquire(&arena.lock);
  struct superslab *span = span_take_or_purge(superslabs, alignment);
  if (span != NULL) {
    enter_span(span, superslabs, SUPERSLAB_SPAN);
    span->span_superslabs = superslabs;
  }
  lock_release(&arena.lock);
  if (span != NULL && !free_memory_take(span->address, superslabs << HAK_SUPERSLAB_SHIFT)) forget_zero(span);
  return span;
}

// What lies behind the bytes asked for shall read as zero too, but need not become resident.
static void zero_tail(uintptr_t from, uintptr_t end) {
  size_t page = os_page_size();
  uintptr_t pages = (from + page - 1) & ~(page - 1);
  if (pages >= end || !os_memory_purge((void *)pages, end - pages)) pages = end;
  memset((void *)from, 0, pages - from);
}

void page_arena_zero_span(struct superslab *span, size_t offset, size_t size) {
  struct superslab *superslab = span;
  uintptr_t end = span->address + offset + size;
  for (uintptr_t begin = span->address; begin < end; begin += HAK_SUPERSLAB_BYTES) {
    if (begin != span->address) superslab = span_next(superslab);
    if (superslab->zero_slabs == ALL_SLABS) continue;
    uintptr_t superslab_end = begin + HAK_SUPERSLAB_BYTES;
    uintptr_t to = superslab_end < end ? superslab_end : end;
    memset((void *)begin, 0, to - begin);
    if (!HAK_SEED_BUG_IF(23, to != superslab_end)) zero_tail(to, superslab_end);
  }
}

// A span of this many superslabs is purged when it is given back: touching so much memory costs more than the call, and
// left to the purge queue it would stay for long. With the Box any is, rather than filled.
#define PURGE_AT_ONCE (HAK_BOX_FILLS ? 1 : 16)

void page_arena_give_span(struct superslab *span) {
  size_t superslabs = span->span_superslabs;
  size_t bytes = superslabs << HAK_SUPERSLAB_SHIFT;
  // Under a limit the purge queue also gives the addresses back.
  bool purged = superslabs >= PURGE_AT_ONCE && os_address_space_limit() == SIZE_MAX &&
                (os_memory_purge((void *)span->address, bytes) || HAK_SEED_BUG(22));
  if (!purged) free_memory_fill(span->address, bytes);
  HAK_TRACK_FREED((void *)span->address, bytes);
  lock_acquire(&arena.lock);
  if (purged) purge_count(bytes);
  leave_span(span, superslabs, purged);
  lock_release(&arena.lock);
}

bool page_arena_resize_span(struct superslab *span, size_t superslabs) {
  size_t old_superslabs = span->span_superslabs;
  bool done = true;
  size_t old_bytes = old_superslabs << HAK_SUPERSLAB_SHIFT, bytes = superslabs << HAK_SUPERSLAB_SHIFT;
  if (bytes < old_bytes) retire_memory(span->address + bytes, old_bytes - bytes);
  lock_acquire(&arena.lock);
  struct superslab *last = registry_find_superslab(span->address + ((old_superslabs - 1) << HAK_SUPERSLAB_SHIFT));
  if (superslabs < old_superslabs) {
    uintptr_t tail = span->address + (superslabs << HAK_SUPERSLAB_SHIFT);
    leave_span(registry_find_superslab(tail), old_superslabs - superslabs, HAK_SEED_BUG(21));
  } else if (superslabs > old_superslabs) {
    size_t count = superslabs - old_superslabs;
    done = span_extend(span, old_superslabs, count);
    if (done) enter_span(span_next(last), count, SUPERSLAB_SPAN_TAIL);
  }
  if (done) span->span_superslabs = superslabs;
  lock_release(&arena.lock);
  if (done && bytes > old_bytes) (void)free_memory_take(span->address + old_bytes, bytes - old_bytes);
  return done;
}

void page_arena_tick(void) {
  uint64_t due = purge_next_due();
  if (HAK_LIKELY(due == UINT64_MAX)) return;
  uint64_t now = os_clock_milliseconds();
  if (HAK_LIKELY(now < due)) return;
  if (!HAK_SEED_BUG(24)) lock_acquire(&arena.lock);
  purge_due(now, options.purge_delay_ms == 0 ? SIZE_MAX : PURGE_PER_TICK);
  lock_release(&arena.lock);
}

size_t page_arena_purge_all(void) {
  lock_acquire(&arena.lock);
  size_t bytes = purge_due(os_clock_milliseconds(), SIZE_MAX);
  lock_release(&arena.lock);
  return bytes;
}

void page_arena_count_large(ptrdiff_t blocks, ptrdiff_t usable_bytes, ptrdiff_t bytes) {
  if (HAK_SEED_BUG(25)) {
    arena.large_blocks += blocks;
  } else {
    atomic_add_relaxed(&arena.large_blocks, blocks);
  }
  atomic_add_relaxed(&arena.large_usable_bytes, usable_bytes);
  atomic_add_relaxed(&arena.large_bytes, bytes);
}

void page_arena_read_statistics(struct page_arena_statistics *statistics) {
  lock_acquire(&arena.lock);
  statistics->large_blocks = (size_t)atomic_read_relaxed(&arena.large_blocks);
  statistics->large_usable_bytes = (size_t)atomic_read_relaxed(&arena.large_usable_bytes);
  statistics->large_bytes = (size_t)atomic_read_relaxed(&arena.large_bytes);
  statistics->dirty_bytes = purge_dirty_bytes();
  statistics->mapped_bytes = span_mapped_superslabs() << HAK_SUPERSLAB_SHIFT;
  statistics->metadata_bytes = metadata_bytes();
  statistics->purged_bytes = purge_total_bytes();
  lock_release(&arena.lock);
}

uint32_t page_arena_free_slabs(const struct superslab *superslab) {
  if (superslab->state == SUPERSLAB_SLABS) return superslab->free_slabs;
  return superslab->state == SUPERSLAB_FREE && span_is_mapped(superslab) ? ALL_SLABS : 0;
}

void page_arena_lock_all(void) {
  lock_acquire(&arena.lock);
  stack_depot_lock();
  metadata_lock();
}

void page_arena_unlock_all(void) {
  if (!HAK_SEED_BUG(26)) metadata_unlock();
  stack_depot_unlock();
  lock_release(&arena.lock);
}
