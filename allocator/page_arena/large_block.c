// SPDX-License-Identifier: Apache-2.0
//
// Large blocks in runs and spans. Layer: page_arena; calls os, the registry and the page arena. Lock: none of its own: a
// block belongs to whoever frees or resizes it. Test: tests/unit/large_block_test.cc.

#include "allocator/page_arena/large_block.h"

#include <string.h>

#include "allocator/os/os.h"
#include "allocator/page_arena/page_arena.h"

// Where a large block lies. Exactly one of run and span is set.
struct large_place {
  struct slab *run;
  struct superslab *span;
  uintptr_t start;  // of the run or span
  size_t bytes;     // of it
  size_t offset;    // of the user pointer
};

static size_t slabs_for(size_t bytes) { return (bytes + HAK_SLAB_BYTES - 1) >> HAK_SLAB_SHIFT; }
static size_t superslabs_for(size_t bytes) { return (bytes + HAK_SUPERSLAB_BYTES - 1) >> HAK_SUPERSLAB_SHIFT; }

// All runs begin at the same place in the cache. Where there is room, blocks begin a few lines further on, different for
// each run, so that the first lines of many large blocks do not evict each other.
static size_t colour(size_t number, size_t size, size_t bytes, size_t alignment) {
  size_t wanted = number % 16 * HAK_CACHE_LINE;
  return alignment <= HAK_CACHE_LINE && wanted <= bytes - size ? wanted : 0;
}

static void *allocate_run(size_t size, size_t alignment, bool zero) {
  bool zeroed;
  struct slab *run = page_arena_take_run((unsigned)slabs_for(size), 0, &zeroed);
  if (run == NULL) return NULL;
  size_t bytes = slab_run_bytes(run);
  size_t offset = colour(run->address >> HAK_SLAB_SHIFT, size, bytes, alignment);
  run->first_offset = (uint32_t)offset;
  page_arena_count_large(1, (ptrdiff_t)(bytes - offset), (ptrdiff_t)bytes);
  void *user = (void *)(run->address + offset);
  if (zero && !zeroed) memset(user, 0, bytes - offset);
  return user;
}

static void *allocate_span(size_t size, size_t alignment, bool zero) {
  struct superslab *span = page_arena_take_span(superslabs_for(size), alignment);
  if (span == NULL) return NULL;
  size_t bytes = span->span_superslabs << HAK_SUPERSLAB_SHIFT;
  size_t offset = colour(span->address >> HAK_SUPERSLAB_SHIFT, size, bytes, alignment);
  span->span_offset = offset;
  page_arena_count_large(1, (ptrdiff_t)(bytes - offset), (ptrdiff_t)bytes);
  if (zero) page_arena_zero_span(span, offset, size);
  return (void *)(span->address + offset);
}

void *large_block_allocate(size_t size, size_t alignment, bool zero) {
  if (size == 0) size = 1;
  if (size > HAK_WINDOW_MAX_BYTES || alignment > HAK_WINDOW_MAX_BYTES) return NULL;
  page_arena_tick();
  bool fits_run = size <= HAK_SUPERSLAB_BYTES && alignment <= HAK_SLAB_BYTES;
  return fits_run ? allocate_run(size, alignment, zero) : allocate_span(size, alignment, zero);
}

// The registry may be asked about any address: nothing is read from the block itself.
static bool find_place(const void *user, struct large_place *place) {
  uintptr_t address = (uintptr_t)user;
  struct superslab *superslab = registry_find_superslab(address);
  if (superslab == NULL) return false;
  *place = (struct large_place){0};
  if (superslab->state == SUPERSLAB_SPAN) {
    place->span = superslab;
    place->start = superslab->address;
    place->bytes = superslab->span_superslabs << HAK_SUPERSLAB_SHIFT;
    place->offset = superslab->span_offset;
  } else {
    struct slab *run = registry_find_run(address);
    if (run == NULL || run->state != SLAB_LARGE) return false;
    place->run = run;
    place->start = run->address;
    place->bytes = slab_run_bytes(run);
    place->offset = run->first_offset;
  }
  return address == place->start + place->offset;
}

size_t large_block_usable(const void *user) {
  struct large_place place;
  return find_place(user, &place) ? place.bytes - place.offset : 0;
}

static void give(const struct large_place *place) {
  page_arena_count_large(-1, -(ptrdiff_t)(place->bytes - place->offset), -(ptrdiff_t)place->bytes);
  if (place->run != NULL) {
    page_arena_give_run(place->run);
  } else {
    page_arena_give_span(place->span);
  }
}

bool large_block_free(void *user) {
  struct large_place place;
  if (!find_place(user, &place)) return false;
  give(&place);
  page_arena_tick();
  return true;
}

static bool resize_in_place(const struct large_place *place, size_t size) {
  size_t bytes = size + place->offset;
  size_t new_bytes;
  if (place->run != NULL) {
    if (bytes > HAK_SUPERSLAB_BYTES) return false;
    if (!page_arena_resize_run(place->run, (unsigned)slabs_for(bytes))) return false;
    new_bytes = slab_run_bytes(place->run);
  } else {
    if (bytes <= HAK_SUPERSLAB_BYTES / 2) return false;
    if (!page_arena_resize_span(place->span, superslabs_for(bytes))) return false;
    new_bytes = place->span->span_superslabs << HAK_SUPERSLAB_SHIFT;
  }
  ptrdiff_t change = (ptrdiff_t)new_bytes - (ptrdiff_t)place->bytes;
  page_arena_count_large(0, change, change);
  return true;
}

// A span that cannot grow where it is moves page by page: the kernel changes the page tables and copies nothing.
static void *move_span(const struct large_place *place, size_t size) {
  if (place->span == NULL || place->offset + size <= place->bytes) return NULL;
  struct superslab *span = page_arena_take_span(superslabs_for(place->offset + size), 0);
  if (span == NULL) return NULL;
  os_memory_move((void *)place->start, (void *)span->address, place->bytes);
  span->span_offset = place->offset;
  size_t bytes = span->span_superslabs << HAK_SUPERSLAB_SHIFT;
  page_arena_count_large(1, (ptrdiff_t)(bytes - place->offset), (ptrdiff_t)bytes);
  give(place);
  return (void *)(span->address + place->offset);
}

void *large_block_resize(void *user, size_t size) {
  struct large_place place;
  if (size > HAK_WINDOW_MAX_BYTES || !find_place(user, &place)) return NULL;
  void *resized = resize_in_place(&place, size) ? user : move_span(&place, size);
  page_arena_tick();
  return resized;
}
