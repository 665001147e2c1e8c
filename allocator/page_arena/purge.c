// SPDX-License-Identifier: Apache-2.0
//
// The purge queue. A superslab enters it when its first slab becomes dirty and leaves it when its dirty slabs are purged
// together, or all in use again; so the queue is in order of time, and memory that a program frees and takes again and
// again within the delay costs no system call. Layer: page_arena; calls os and spans. Lock: the caller holds the page
// arena's. Test: tests/unit/purge_test.cc.

#include "allocator/page_arena/purge.h"

#include "allocator/base/atomics.h"
#include "allocator/base/options.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/os/os.h"
#include "allocator/page_arena/span.h"

static struct superslab *oldest, *newest;
static uint64_t next_due = UINT64_MAX;
static size_t dirty_slab_count;
static size_t total_bytes;

uint64_t purge_next_due(void) { return atomic_read_relaxed(&next_due); }
void purge_count(size_t bytes) { total_bytes += bytes; }
size_t purge_dirty_bytes(void) { return dirty_slab_count << HAK_SLAB_SHIFT; }
size_t purge_total_bytes(void) { return total_bytes; }

void purge_mark_dirty(struct superslab *superslab, uint32_t slabs) {
  dirty_slab_count += (size_t)__builtin_popcount(slabs & ~superslab->dirty_slabs);
  superslab->dirty_slabs |= slabs;
}

void purge_unmark_dirty(struct superslab *superslab, uint32_t slabs) {
  uint32_t counted =
      HAK_SEED_BUG_IF(34, (slabs & ~superslab->dirty_slabs) != 0) ? slabs : slabs & superslab->dirty_slabs;
  dirty_slab_count -= (size_t)__builtin_popcount(counted);
  superslab->dirty_slabs &= ~slabs;
  if (superslab->dirty_slabs == 0) purge_dequeue(superslab);
}

void purge_enqueue(struct superslab *superslab, uint64_t now) {
  if (superslab->purge_at != 0) return;
  superslab->purge_at = now + options.purge_delay_ms;
  if (superslab->purge_at == 0) superslab->purge_at = 1;
  superslab->purge_next = NULL;
  superslab->purge_previous = newest;
  *(newest == NULL ? &oldest : &newest->purge_next) = superslab;
  newest = superslab;
  atomic_write_relaxed(&next_due, HAK_SEED_BUG_IF(35, oldest != superslab) ? newest->purge_at : oldest->purge_at);
}

void purge_dequeue(struct superslab *superslab) {
  if (superslab->purge_at == 0) return;
  superslab->purge_at = 0;
  *(superslab->purge_previous == NULL ? &oldest : &superslab->purge_previous->purge_next) = superslab->purge_next;
  if (superslab->purge_next == NULL || !HAK_SEED_BUG(36))
    *(superslab->purge_next == NULL ? &newest : &superslab->purge_next->purge_previous) = superslab->purge_previous;
  atomic_write_relaxed(&next_due, oldest == NULL ? UINT64_MAX : oldest->purge_at);
}

static size_t purge_superslab(struct superslab *superslab) {
  uint32_t dirty = superslab->dirty_slabs;
  size_t bytes = 0;
  // A superslab that is free as a whole need not even keep its addresses.
  if (superslab->state == SUPERSLAB_FREE && span_unmap(superslab)) {
    dirty_slab_count -= (size_t)__builtin_popcount(dirty);
    return (size_t)__builtin_popcount(dirty) << HAK_SLAB_SHIFT;
  }
  while (dirty != 0) {
    unsigned first = (unsigned)__builtin_ctz(dirty);
    uint32_t above = ~(dirty >> first);
    unsigned count = above == 0 ? HAK_SUPERSLAB_SLABS - first : (unsigned)__builtin_ctz(above);
    uint32_t slabs = (uint32_t)((((uint64_t)1 << count) - 1) << first);
    size_t run_bytes = (size_t)(count + HAK_SEED_BUG(37)) << HAK_SLAB_SHIFT;
    // Where the kernel refuses, the memory stays as it is and is not asked for again until it was in use once more.
    if (os_memory_purge((void *)(superslab->address + ((uintptr_t)first << HAK_SLAB_SHIFT)), run_bytes) ||
        HAK_SEED_BUG(38)) {
      superslab->zero_slabs |= slabs;
      bytes += run_bytes;
    }
    purge_unmark_dirty(superslab, slabs);
    dirty &= ~slabs;
  }
  return bytes;
}

size_t purge_due(uint64_t now, size_t limit) {
  size_t bytes = 0;
  for (size_t i = 0; i < limit && oldest != NULL && (limit == SIZE_MAX || oldest->purge_at <= now); i++) {
    struct superslab *superslab = oldest;
    purge_dequeue(superslab);
    bytes += purge_superslab(superslab);
  }
  if (limit == SIZE_MAX) bytes += span_unmap_clean();
  total_bytes += bytes;
  return bytes;
}
