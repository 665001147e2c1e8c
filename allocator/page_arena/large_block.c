// SPDX-License-Identifier: Apache-2.0
//
// Large blocks in runs and spans. Layer: page_arena; calls os, the registry and the page arena. Lock: none of its own: a
// block belongs to whoever frees or resizes it. Test: tests/unit/large_block_test.cc.

#include "allocator/page_arena/large_block.h"

#include <string.h>

#include "allocator/base/seeded_bug.h"
#include "allocator/os/os.h"
#include "allocator/page_arena/free_memory.h"
#include "allocator/page_arena/page_arena.h"
#include "hakmem/misuse.h"

#define IS_BOX (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX)
// The Box keeps at least so many bytes free before a block, and one behind it, unless the alignment takes too much.
#define GUARD_BYTES HAK_CACHE_LINE

static size_t slabs_for(size_t bytes) { return (bytes + HAK_SLAB_BYTES - 1) >> HAK_SLAB_SHIFT; }
static size_t superslabs_for(size_t bytes) { return (bytes + HAK_SUPERSLAB_BYTES - 1) >> HAK_SUPERSLAB_SHIFT; }

// Bytes of a run or span from its start to the end of a block.
static size_t bytes_with_offset(size_t offset, size_t size) {
  return offset + size + (IS_BOX && !HAK_SEED_BUG_IF(39, (offset + size) % HAK_SLAB_BYTES == 0) ? 1 : 0);
}

static size_t guard_offset(size_t alignment) {
  if (!IS_BOX || alignment > HAK_SLAB_BYTES) return 0;
  return alignment < GUARD_BYTES ? GUARD_BYTES : alignment;
}

// All runs begin at the same place in the cache. Where there is room, blocks begin a few lines further on, different for
// each run, so that the first lines of many large blocks do not evict each other.
static size_t colour(size_t number, size_t size, size_t bytes, size_t alignment) {
  size_t wanted = number % 16 * HAK_CACHE_LINE;
  return (alignment <= HAK_CACHE_LINE || HAK_SEED_BUG_IF(40, wanted != 0)) && wanted <= bytes - size ? wanted : 0;
}

static size_t block_offset(size_t number, size_t size, size_t bytes, size_t alignment) {
  return IS_BOX ? guard_offset(alignment) : colour(number, size, bytes, alignment);
}

struct block_record *large_block_record(const struct large_place *place) {
  return place->run != NULL ? &place->run->large : &place->span->span_record;
}

// Notes the size that was asked for, and prepares what lies behind it for the checks.
static void set_size(const struct large_place *place, size_t old_size, size_t size) {
  uintptr_t block = large_block_address(place), end = block + size, run_end = place->start + place->bytes;
  if (!IS_BOX) {
    HAK_TRACK_RESIZED((void *)block, old_size, run_end - block);
    return;
  }
  if (HAK_BOX_FILLS) {
    size_t page = os_page_size();
    uintptr_t page_end = (end + page - 1) & ~(page - 1);
    memset((void *)end, HAK_FILL, page_end - end);
  }
  // In this order also in memory: a fork at any point finds a block that is whole.
  HAK_COMPILER_BARRIER();
  large_block_record(place)->slack =
      HAK_SEED_BUG_IF(41, run_end - end > UINT16_MAX) ? (uint16_t)(run_end - end) : (uint32_t)(run_end - end);
  HAK_TRACK_RESIZED((void *)block, old_size, size);
  HAK_TRACK_FREED((void *)end, run_end - end);
}

// The bytes before a block that are filled. Pages before these are as free memory is.
static size_t filled_front(const struct large_place *place) {
  size_t page = os_page_size();
  return place->offset < page ? place->offset : page;
}

// A block that was just taken: what the Box notes of it, and the guard in front.
static void begin_block(const struct large_place *place, size_t size, size_t alignment) {
  page_arena_count_large(1, (ptrdiff_t)large_block_capacity(place), (ptrdiff_t)place->bytes);
  HAK_TRACK_FREED((void *)place->start, place->bytes);
  if (IS_BOX) {
    struct block_record *record = large_block_record(place);
    *record = (struct block_record){.state = BLOCK_IN_HAND};
    if (alignment > HAK_ALIGNMENT) record->alignment_shift = (uint8_t)__builtin_ctzll(alignment);
    if (HAK_BOX_FILLS && place->offset > 0) {
      memset((void *)(large_block_address(place) - filled_front(place)), HAK_FILL, filled_front(place));
    }
  }
  HAK_TRACK_ALLOCATED((void *)large_block_address(place), 0);
  set_size(place, 0, size);
  if (IS_BOX) {
    HAK_COMPILER_BARRIER();
    atomic_write_relaxed(&large_block_record(place)->state, (uint8_t)HAK_BLOCK_LIVE);
  }
}

static void *allocate_run(size_t size, size_t alignment, bool zero) {
  bool zeroed;
  struct slab *run =
      page_arena_take_run((unsigned)slabs_for(bytes_with_offset(guard_offset(alignment), size)), 0, &zeroed);
  if (run == NULL) return NULL;
  struct large_place place = {.run = run, .start = run->address, .bytes = slab_run_bytes(run)};
  place.offset = block_offset(run->address >> HAK_SLAB_SHIFT, size, place.bytes, alignment);
  run->first_offset = (uint32_t)place.offset;
  begin_block(&place, size, alignment);
  void *user = (void *)large_block_address(&place);
  size_t visible = IS_BOX ? size : large_block_capacity(&place);
  if (zero && !zeroed) memset(user, 0, visible);
  if (zero) HAK_TRACK_ZEROED(user, visible);
  return user;
}

static void *allocate_span(size_t size, size_t alignment, bool zero) {
  struct superslab *span =
      page_arena_take_span(superslabs_for(bytes_with_offset(guard_offset(alignment), size)), alignment);
  if (span == NULL) return NULL;
  struct large_place place = {.span = span, .start = span->address};
  place.bytes = span->span_superslabs << HAK_SUPERSLAB_SHIFT;
  place.offset = block_offset(span->address >> HAK_SUPERSLAB_SHIFT, size, place.bytes, alignment);
  span->span_offset = place.offset;
  if (zero) {
    HAK_TRACK_COPIED((void *)place.start, place.bytes);
    page_arena_zero_span(span, place.offset, size);
  }
  begin_block(&place, size, alignment);
  void *user = (void *)large_block_address(&place);
  if (zero) HAK_TRACK_ZEROED(user, IS_BOX ? size : large_block_capacity(&place));
  return user;
}

void *large_block_allocate(size_t size, size_t alignment, bool zero) {
  if (size == 0 && !IS_BOX) size = 1;
  if ((size > HAK_WINDOW_MAX_BYTES && !HAK_SEED_BUG(42)) || alignment > HAK_WINDOW_MAX_BYTES) return NULL;
  page_arena_tick();
  bool fits_run = bytes_with_offset(guard_offset(alignment), size) <= HAK_SUPERSLAB_BYTES &&
                  alignment <= (HAK_SEED_BUG_IF(43, alignment > HAK_SLAB_BYTES) ? HAK_SUPERSLAB_BYTES : HAK_SLAB_BYTES);
  return fits_run ? allocate_run(size, alignment, zero) : allocate_span(size, alignment, zero);
}

static void place_in_run(struct slab *run, struct large_place *place) {
  *place = (struct large_place){
      .run = run, .start = run->address, .bytes = slab_run_bytes(run), .offset = run->first_offset};
}

static void place_in_span(struct superslab *span, struct large_place *place) {
  *place = (struct large_place){.span = span,
                                .start = span->address,
                                .bytes = span->span_superslabs << HAK_SUPERSLAB_SHIFT,
                                .offset = span->span_offset};
}

// The registry may be asked about any address: nothing is read from the block itself.
bool large_block_find(uintptr_t address, struct large_place *place) {
  struct superslab *superslab = registry_find_superslab(address);
  if (superslab == NULL) return false;
  while (superslab->state == SUPERSLAB_SPAN_TAIL) {
    superslab = registry_find_superslab(superslab->address - HAK_SUPERSLAB_BYTES);
    if (superslab == NULL) return false;
  }
  if (superslab->state == SUPERSLAB_SPAN) {
    place_in_span(superslab, place);
    return true;
  }
  struct slab *run = registry_find_run(address);
  if (run == NULL || run->state != SLAB_LARGE) return false;
  place_in_run(run, place);
  return true;
}

// What records of free slabs and superslabs still say of their last use.
bool large_block_find_freed(uintptr_t address, struct large_place *place) {
  struct superslab *superslab = registry_find_superslab(address);
  if (superslab == NULL) return false;
  if (superslab->slabs != NULL) {
    struct slab *slab = &superslab->slabs[(address - superslab->address) >> HAK_SLAB_SHIFT];
    slab -= slab->run_index;
    bool large = slab->state == SLAB_FREE && slab->size_class == 0 && slab->run_slabs != 0;
    if (large && address == slab->address + slab->first_offset && slab->large.state != HAK_BLOCK_UNKNOWN) {
      place_in_run(slab, place);
      return true;
    }
  }
  bool span = superslab->state == SUPERSLAB_FREE && superslab->span_record.state != HAK_BLOCK_UNKNOWN;
  if (!span || address != superslab->address + superslab->span_offset) return false;
  place_in_span(superslab, place);
  return true;
}

// The large block that begins here.
static bool find_place(const void *user, struct large_place *place) {
  struct superslab *superslab = registry_find_superslab((uintptr_t)user);
  // The tail of a span can be long, and no block begins there.
  if (superslab == NULL || superslab->state == SUPERSLAB_SPAN_TAIL) return false;
  return large_block_find((uintptr_t)user, place) && (uintptr_t)user == large_block_address(place);
}

size_t large_block_usable(const void *user) {
  struct large_place place;
  return find_place(user, &place) ? large_block_capacity(&place) : 0;
}

uintptr_t large_block_check_front(const struct large_place *place) {
  if (place->offset == 0) return 0;
  size_t filled = filled_front(place);
  uintptr_t wrong = free_memory_check(place->start, place->offset - filled);
  return wrong != 0 ? wrong : free_memory_check_fill(large_block_address(place) - filled, filled - HAK_SEED_BUG(44));
}

uintptr_t large_block_check_slack(const struct large_place *place) {
  size_t page = os_page_size();
  uintptr_t run_end = place->start + place->bytes;
  uintptr_t end = run_end - large_block_record(place)->slack + HAK_SEED_BUG(45);
  uintptr_t page_end = (end + page - 1) & ~(page - 1);
  uintptr_t wrong = free_memory_check_fill(end, page_end - end);
  return wrong != 0 ? wrong : free_memory_check(page_end, run_end - page_end);
}

static void give(const struct large_place *place) {
  page_arena_count_large(-1, -(ptrdiff_t)large_block_capacity(place), -(ptrdiff_t)place->bytes);
  if (place->run != NULL) {
    page_arena_give_run(place->run);
  } else {
    page_arena_give_span(place->span);
  }
}

bool large_block_free(void *user) {
  struct large_place place;
  if (!find_place(user, &place)) return false;
  if (IS_BOX) large_block_record(&place)->state = HAK_BLOCK_FREE;
  give(&place);
  page_arena_tick();
  return true;
}

static bool resize_in_place(struct large_place *place, size_t size) {
  size_t bytes = bytes_with_offset(place->offset, size);
  size_t old_bytes = place->bytes;
  if (place->run != NULL) {
    if (bytes > HAK_SUPERSLAB_BYTES) return false;
    if (!page_arena_resize_run(place->run, (unsigned)slabs_for(bytes))) return false;
    place->bytes = slab_run_bytes(place->run);
  } else {
    if (bytes <= HAK_SUPERSLAB_BYTES / 2) return false;
    if (!page_arena_resize_span(place->span, superslabs_for(bytes))) return false;
    place->bytes = place->span->span_superslabs << HAK_SUPERSLAB_SHIFT;
  }
  ptrdiff_t change = (ptrdiff_t)place->bytes - (ptrdiff_t)old_bytes;
  if (!HAK_SEED_BUG_IF(46, change != 0)) page_arena_count_large(0, change, change);
  return true;
}

// A span that cannot grow where it is moves page by page: the kernel changes the page tables and copies nothing.
static bool move_span(struct large_place *place, size_t size) {
  // Memcheck follows copies, but not moves.
  if (HAK_TRACKED_NOW) return false;
  if (place->span == NULL || bytes_with_offset(place->offset, size) <= place->bytes) return false;
  struct superslab *span = page_arena_take_span(superslabs_for(bytes_with_offset(place->offset, size)), 0);
  if (span == NULL) return false;
  HAK_TRACK_COPIED((void *)place->start, place->bytes);
  HAK_TRACK_COPIED((void *)span->address, place->bytes);
  os_memory_move((void *)place->start, (void *)span->address, place->bytes);
  if (!HAK_SEED_BUG_IF(47, span->span_offset != place->offset)) span->span_offset = place->offset;
  span->span_record = place->span->span_record;
  struct large_place moved = {.span = span, .start = span->address, .offset = place->offset};
  moved.bytes = span->span_superslabs << HAK_SUPERSLAB_SHIFT;
  page_arena_count_large(1, (ptrdiff_t)large_block_capacity(&moved), (ptrdiff_t)moved.bytes);
  if (IS_BOX) place->span->span_record.state = HAK_BLOCK_FREE;
  give(place);
  *place = moved;
  return true;
}

static uintptr_t page_end(uintptr_t address) {
  size_t page = os_page_size();
  return (address + page - 1) & ~(page - 1);
}

// For the Box: what a shorter block leaves of its run has no contents any more.
static void drop_contents(const struct large_place *place, size_t old_size, size_t size) {
  uintptr_t block = large_block_address(place), from = page_end(block + size), to = page_end(block + old_size);
  if (to > place->start + place->bytes) to = place->start + place->bytes;
  if (from < to) free_memory_fill(from, to - from);
}

void *large_block_resize(void *user, size_t size) {
  struct large_place place;
  if (size > HAK_WINDOW_MAX_BYTES || !find_place(user, &place)) return NULL;
  size_t capacity = large_block_capacity(&place);
  size_t old_size = capacity - (IS_BOX ? large_block_record(&place)->slack : 0);
  bool resized = resize_in_place(&place, size) || move_span(&place, size);
  // A block of which at least half is used may stay as it is.
  bool stays = !resized && bytes_with_offset(0, size) <= capacity && size >= capacity / 2;
  if (resized || stays) {
    if (IS_BOX) large_block_record(&place)->alignment_shift = 0;
    if (size < old_size && !HAK_SEED_BUG(48)) drop_contents(&place, old_size, size);
    set_size(&place, old_size, size);
  }
  page_arena_tick();
  return resized || stays ? (void *)large_block_address(&place) : NULL;
}

bool large_block_keep(void *user, size_t size) {
  struct large_place place;
  if (!find_place(user, &place) || bytes_with_offset(0, size) > large_block_capacity(&place)) return false;
  size_t old_size = large_block_capacity(&place) - (IS_BOX ? large_block_record(&place)->slack : 0);
  size_t least = place.span != NULL && size < HAK_SUPERSLAB_BYTES / 2 ? HAK_SUPERSLAB_BYTES / 2 : size;
  (void)resize_in_place(&place, least);
  if (IS_BOX) large_block_record(&place)->alignment_shift = 0;
  if (size < old_size) drop_contents(&place, old_size, size);
  set_size(&place, old_size, size);
  return true;
}
