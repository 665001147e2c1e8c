// SPDX-License-Identifier: Apache-2.0
//
// The registry: what an address is. One window of address space holds every block of the process; a byte table with one
// entry per slab of it gives the size class, which is all that free needs to know. Everything outside the window, and
// every slab whose entry is 0, is sorted out by the slow path. Layer: page_arena.
//
// Readers take no lock: an entry that a legitimate free can meet was written before the block was handed out and does
// not change while the block lives.

#ifndef ALLOCATOR_PAGE_ARENA_REGISTRY_H_
#define ALLOCATOR_PAGE_ARENA_REGISTRY_H_

#include "allocator/base/atomics.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/page_arena/superslab.h"

struct registry {
  uintptr_t base;           // of the window
  size_t slab_count;        // of the window; 0 before registry_initialize
  uint8_t *slab_class;      // by slab number: the size class, or 0
  struct slab **slab_runs;  // for the Box, by slab number: the run that it is or was last in
  struct superslab **superslabs;
  size_t superslab_count;
  size_t superslabs_used;  // none from this number on ever had a record
  // One bit per superslab: mapped by us; in use as slabs or in a span, or occupied by somebody else.
  uint64_t *mapped_superslabs;
  uint64_t *taken_superslabs;
};

HAK_BEGIN_DECLARATIONS
HAK_INTERNAL_DATA struct registry registry;

// Chooses the window. False if there is no memory for the tables; it may be tried again then. Called with the page
// arena's lock held.
HAK_INTERNAL bool registry_initialize(void);
// The first slab of the run that holds address, or NULL if no block of a run can be there.
HAK_INTERNAL struct slab *registry_find_run(uintptr_t address);
// The superslab that holds address, or NULL if it never was one.
HAK_INTERNAL struct superslab *registry_find_superslab(uintptr_t address);
HAK_INTERNAL void registry_set_class(const struct slab *run, unsigned size_class);
HAK_END_DECLARATIONS

// The window is chosen once, perhaps while another thread frees NULL: a race that x86 and aarch64 do not mind. Compilers
// do not fold an atomic read into the instruction that needs it, so only the sanitizer is given one.
#ifdef HAK_THREAD_SANITIZER
#define REGISTRY_READ(field) atomic_read_relaxed(&registry.field)
#else
#define REGISTRY_READ(field) (registry.field)
#endif

// The slab number of an address: at least registry.slab_count where the address lies outside the window.
HAK_INLINE size_t registry_slab_number(uintptr_t address) { return (address - REGISTRY_READ(base)) >> HAK_SLAB_SHIFT; }

// The size class of the block at an address; 0 for large blocks and for everything that is no block.
HAK_INLINE unsigned registry_class_of(uintptr_t address) {
  size_t slab = registry_slab_number(address);
  return HAK_LIKELY(slab < REGISTRY_READ(slab_count) + HAK_SEED_BUG_IF(10, slab == REGISTRY_READ(slab_count)))
             ? atomic_read_relaxed(&registry.slab_class[slab])
             : 0;
}

#endif  // ALLOCATOR_PAGE_ARENA_REGISTRY_H_
