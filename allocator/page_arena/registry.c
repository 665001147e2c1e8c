// SPDX-License-Identifier: Apache-2.0
//
// The window of address space and its tables. Layer: page_arena; calls os. Written under the page arena's lock.
// Test: tests/unit/registry_test.cc, tests/valgrind.

#include "allocator/page_arena/registry.h"

#include "allocator/base/seeded_bug.h"
#include "allocator/os/os.h"

HAK_INTERNAL_DEFINITION struct registry registry;

#define BITS_PER_WORD 64

// The tables for a window, in one mapping of which only the used parts become resident.
static bool map_tables(size_t window_bytes) {
  size_t slabs = window_bytes >> HAK_SLAB_SHIFT;
  size_t superslabs = window_bytes >> HAK_SUPERSLAB_SHIFT;
  size_t bitmap_bytes = superslabs / 8;
  size_t run_bytes = HAK_CHECKS_LEVEL == HAK_CHECKS_BOX ? slabs * sizeof(struct slab *) : 0;
  size_t bytes = slabs + superslabs * sizeof(struct superslab *) + 2 * bitmap_bytes + run_bytes;
  char *tables = os_memory_map((bytes + HAK_SLAB_BYTES - 1) & ~(HAK_SLAB_BYTES - 1));
  if (tables == NULL) return false;
  registry.slab_class = (uint8_t *)tables;
  registry.superslabs = (struct superslab **)(tables + slabs);
  registry.mapped_superslabs = (uint64_t *)(tables + slabs + superslabs * sizeof(struct superslab *));
  registry.taken_superslabs = registry.mapped_superslabs + superslabs / BITS_PER_WORD;
  registry.slab_runs = (struct slab **)(registry.taken_superslabs + superslabs / BITS_PER_WORD);
  return true;
}

// The kernel places mappings from the top of the address space down, as the tables show. The window begins this far below
// them, where it meets nothing unless the program reserves as much, and is as randomly placed as the kernel placed the
// tables. Sanitizers let a program map only the uppermost 1.5 TiB (gcc's ThreadSanitizer) and what lies around its own code.
#if defined(HAK_SMALL_GEOMETRY)
#define WINDOW_DISTANCE (4 * HAK_WINDOW_MAX_BYTES)
#elif defined(HAK_SANITIZER_HAS_MALLOC)
#define WINDOW_DISTANCE ((uintptr_t)1 << 38)
#else
#define WINDOW_DISTANCE ((uintptr_t)16 << 40)
#endif

// Valgrind places mappings from 64 MiB up and has no more than 128 GiB, of which the upper half is its own: where the tables
// are so low, the window is above them, where it is in the way of nothing.
#define LOW_TABLES ((uintptr_t)8 << 30)
#define LOW_WINDOW_DISTANCE ((uintptr_t)16 << 30)
#define LOW_WINDOW_BYTES ((size_t)32 << 30)

// Where the window begins, if the tables are here. Makes it smaller where the address space is.
static uintptr_t place_window(uintptr_t here, size_t *bytes) {
  if (here < LOW_TABLES) {
    *bytes = LOW_WINDOW_BYTES;
    return here + LOW_WINDOW_DISTANCE;
  }
  // Where the address space has fewer than 47 bits, not all of the tables are used.
  uintptr_t distance = here > 2 * WINDOW_DISTANCE ? WINDOW_DISTANCE : (here / 2) & ~(HAK_SUPERSLAB_BYTES - 1);
  while (*bytes > distance / 2) *bytes /= 2;
  return here - distance;
}

HAK_COLD bool registry_initialize(void) {
  size_t limit = os_address_space_limit();
  size_t bytes = HAK_WINDOW_MIN_BYTES;
  while (bytes < HAK_WINDOW_MAX_BYTES && bytes / 4 < limit) bytes *= 2;
  if (!map_tables(bytes)) return false;
  uintptr_t here = (uintptr_t)registry.slab_class & ~(HAK_SUPERSLAB_BYTES - 1);
  uintptr_t base = place_window(here, &bytes);
  registry.superslab_count = bytes >> HAK_SUPERSLAB_SHIFT;
  atomic_write_relaxed(&registry.base, base);
  // Last, because from here on addresses of the window are looked up.
  atomic_write_release(&registry.slab_count, registry.superslab_count * HAK_SUPERSLAB_SLABS);
  return true;
}

struct superslab *registry_find_superslab(uintptr_t address) {
  size_t slab = registry_slab_number(address);
  if (slab >= atomic_read_acquire(&registry.slab_count)) return NULL;
  return atomic_read_acquire(&registry.superslabs[slab / HAK_SUPERSLAB_SLABS]);
}

struct slab *registry_find_run(uintptr_t address) {
  struct superslab *superslab = registry_find_superslab(address);
  if (superslab == NULL || (superslab->state != SUPERSLAB_SLABS && !HAK_SEED_BUG_IF(11, superslab->slabs == NULL)))
    return NULL;
  struct slab *slab = &superslab->slabs[(address - superslab->address) >> HAK_SLAB_SHIFT];
  return slab->state == SLAB_FREE ? NULL : slab - slab->run_index;
}

void registry_set_class(const struct slab *run, unsigned size_class) {
  size_t number = registry_slab_number(run->address);
  for (unsigned i = 0; i < (HAK_SEED_BUG_IF(9, run->run_slabs > 1) ? 1u : run->run_slabs); i++) {
    if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) {
      atomic_write_relaxed(&registry.slab_runs[number + i], (struct slab *)run);
      // Whoever sees the class sees the run as it is, also with a pointer that is no block's.
      atomic_write_release(&registry.slab_class[number + i], (uint8_t)size_class);
    } else {
      atomic_write_relaxed(&registry.slab_class[number + i], (uint8_t)size_class);
    }
  }
}
