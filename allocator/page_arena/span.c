// SPDX-License-Identifier: Apache-2.0
//
// First fit over the window's superslabs, by bitmap: low addresses fill up first, so that the high ones become free as
// a whole. Layer: page_arena; calls os and the registry. Lock: the caller holds the page arena's.
// Test: tests/unit/span_test.cc.

#include "allocator/page_arena/span.h"

#include "allocator/base/options.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/os/os.h"
#include "allocator/page_arena/metadata.h"
#include "allocator/page_arena/registry.h"

static size_t mapped_count;
static size_t mapped_end;   // none is mapped from this number on
static size_t lowest_free;  // no superslab below this number is free
static bool passed_over;    // some are taken that are not ours

static bool bit_get(const uint64_t *bits, size_t number) { return (bits[number / 64] >> number % 64 & 1) != 0; }
static void bit_set(uint64_t *bits, size_t number) { bits[number / 64] |= (uint64_t)1 << number % 64; }
static void bit_clear(uint64_t *bits, size_t number) { bits[number / 64] &= ~((uint64_t)1 << number % 64); }

static uintptr_t address_of_number(size_t number) { return registry.base + (number << HAK_SUPERSLAB_SHIFT); }
static size_t number_of(const struct superslab *superslab) {
  return (superslab->address - registry.base) >> HAK_SUPERSLAB_SHIFT;
}

// The record of a superslab; made when the superslab is used for the first time and kept for ever.
static struct superslab *record_of_number(size_t number) {
  struct superslab *superslab = registry.superslabs[number];
  if (superslab != NULL) return superslab;
  superslab = metadata_allocate(sizeof *superslab);
  if (superslab == NULL) return NULL;
  superslab->address = address_of_number(number);
  superslab->zero_slabs = UINT32_MAX;
  atomic_write_release(&registry.superslabs[number], superslab);
  if (number >= registry.superslabs_used) registry.superslabs_used = number + 1;
  return superslab;
}

// Something lies in these superslabs that is not ours. Stores where it begins: behind them, if it has gone meanwhile. The
// superslabs before it are mapped to find out, and unmapped again.
static enum os_map_result find_occupied(size_t number, size_t count, size_t *occupied) {
  for (*occupied = number; *occupied < number + count; ++*occupied) {
    void *address = (void *)address_of_number(*occupied);
    enum os_map_result result = os_memory_map_at(address, HAK_SUPERSLAB_BYTES);
    if (result != OS_MAPPED) return result;
    if (os_memory_release(address, HAK_SUPERSLAB_BYTES)) continue;
    bit_set(registry.mapped_superslabs, *occupied);
    mapped_count++;
    if (mapped_end <= *occupied) mapped_end = *occupied + 1;
  }
  return OS_OCCUPIED;
}

// Maps what is not mapped of count superslabs from number on. What is mapped stays so, whatever comes after. Stores the
// superslab that is occupied, if one is.
static enum os_map_result map_superslabs(size_t number, size_t count, size_t *occupied) {
  for (size_t i = number; i < number + count;) {
    if (bit_get(registry.mapped_superslabs, i)) {
      i++;
      continue;
    }
    size_t end = i + 1;
    while (end < number + count && !bit_get(registry.mapped_superslabs, end)) end++;
    void *address = (void *)address_of_number(i);
    size_t bytes = (end - i) << HAK_SUPERSLAB_SHIFT;
    enum os_map_result result = os_memory_map_at(address, bytes);
    if (result == OS_OCCUPIED) return find_occupied(i, end - i, occupied);
    if (result != OS_MAPPED) return result;
    if (options.thp) os_memory_advise_huge(address, bytes);
    mapped_count += HAK_SEED_BUG_IF(27, end - i != count) ? count : end - i;
    for (; i < end; i++) bit_set(registry.mapped_superslabs, i);
    if (mapped_end < end) mapped_end = end;
  }
  return OS_MAPPED;
}

static bool unmap_number(size_t number) {
  HAK_TRACK_UNMAPPED((void *)address_of_number(number), HAK_SUPERSLAB_BYTES);
  if (!os_memory_release((void *)address_of_number(number), HAK_SUPERSLAB_BYTES) && !HAK_SEED_BUG(28)) return false;
  bit_clear(registry.mapped_superslabs, number);
  mapped_count--;
  if (registry.superslabs[number] != NULL) registry.superslabs[number]->zero_slabs = UINT32_MAX;
  return true;
}

// Where address space is limited, what is mapped and free keeps others from it. Dirty superslabs are the purge queue's.
static size_t unmap_clean(size_t number, size_t count) {
  size_t bytes = 0;
  if (os_address_space_limit() == SIZE_MAX) return 0;
  for (size_t i = number; i < number + count; i++) {
    const struct superslab *superslab = registry.superslabs[i];
    if (!bit_get(registry.mapped_superslabs, i) || bit_get(registry.taken_superslabs, i)) continue;
    if (superslab != NULL && superslab->dirty_slabs != 0) continue;
    if (unmap_number(i)) bytes += HAK_SUPERSLAB_BYTES;
  }
  return bytes;
}

size_t span_unmap_clean(void) { return unmap_clean(0, mapped_end); }

// Makes count superslabs from number on usable and marks them taken. Unless it succeeds, none is taken.
static enum os_map_result claim(size_t number, size_t count, size_t *occupied) {
  enum os_map_result result = map_superslabs(number, count, occupied);
  if (result != OS_MAPPED) {
    unmap_clean(number, count);
    return result;
  }
  for (size_t i = number; i < number + count; i++) {
    if (record_of_number(i) == NULL && !HAK_SEED_BUG(29)) return OS_NO_MEMORY;
  }
  for (size_t i = number; i < number + count; i++) bit_set(registry.taken_superslabs, i);
  return OS_MAPPED;
}

// The first superslab at or after number that is not in a word of 64 taken ones.
static size_t skip_taken_words(size_t number) {
  while (number < registry.superslab_count && registry.taken_superslabs[number / 64] == UINT64_MAX) {
    number = (number / 64 + 1) * 64;
  }
  return number;
}

// The first of count free superslabs in a row, or superslab_count if there are none.
static size_t find_free(size_t count, size_t alignment) {
  const size_t step = alignment >> HAK_SUPERSLAB_SHIFT;
  const size_t none = registry.superslab_count;
  lowest_free = skip_taken_words(lowest_free);
  size_t start = lowest_free;
  while (start < none && count <= none - start) {
    size_t misaligned = (address_of_number(start) & (alignment - 1)) >> HAK_SUPERSLAB_SHIFT;
    if (misaligned != 0) {
      start += step - misaligned;
      continue;
    }
    size_t length = 0;
    while (length < count && !bit_get(registry.taken_superslabs, start + length)) length++;
    if (length == count) return start;
    start = skip_taken_words(start + length + 1);
  }
  return none;
}

// What somebody else has mapped in the window is passed over: taken, but not mapped by us. As long as one place after the
// other is occupied, each time twice as much: a large mapping takes few calls. What that passes over too much of is found
// again by a second look, which passes over nothing else and ends after this many calls.
#define EXACT_TRIES 4096

static void pass_over(size_t number, size_t count) {
  size_t end = number + count < registry.superslab_count ? number + count : registry.superslab_count;
  for (size_t i = number; i < end && (!bit_get(registry.mapped_superslabs, i) || HAK_SEED_BUG(30)); i++) {
    bit_set(registry.taken_superslabs, i);
    passed_over = true;
  }
}

// What was in the way may have gone.
static void forget_passed_over(void) {
  if (!passed_over) return;
  for (size_t i = 0; i < registry.superslab_count / 64; i++) {
    registry.taken_superslabs[i] &= registry.mapped_superslabs[i];
  }
  lowest_free = 0;
  passed_over = false;
}

// Takes the first place that is nobody's. No more than tries calls may find somebody; *full says that no place is left.
static struct superslab *take_first(size_t count, size_t alignment, bool doubles, size_t tries, bool *full) {
  size_t passed_end = SIZE_MAX, length = 1;
  for (size_t try = 0; try < tries; try++) {
    size_t number = find_free(count, alignment);
    *full = number == registry.superslab_count;
    if (*full) return NULL;
    size_t occupied;
    enum os_map_result result = claim(number, count, &occupied);
    if (result == OS_MAPPED) return registry.superslabs[number];
    if (result == OS_NO_MEMORY) return NULL;
    length = doubles && occupied == passed_end ? 2 * length : 1;
    pass_over(occupied, length);
    passed_end = occupied + length;
  }
  return NULL;
}

struct superslab *span_take(size_t count, size_t alignment) {
  bool full;
  struct superslab *span = take_first(count, alignment, true, SIZE_MAX, &full);
  if (span != NULL || !full || !passed_over) return span;
  forget_passed_over();
  span = take_first(count, alignment, false, EXACT_TRIES, &full);
  // For whoever asks later: what is in the way now may have gone then.
  if (span == NULL) forget_passed_over();
  return span;
}

bool span_extend(struct superslab *first, size_t old_count, size_t count) {
  size_t number = number_of(first) + old_count;
  if (number >= registry.superslab_count || count > registry.superslab_count - number) return false;
  for (size_t i = 0; i < count - HAK_SEED_BUG(31); i++) {
    if (bit_get(registry.taken_superslabs, number + i)) return false;
  }
  size_t occupied;
  enum os_map_result result = claim(number, count, &occupied);
  if (result == OS_OCCUPIED) pass_over(occupied, 1);
  return result == OS_MAPPED;
}

void span_give(struct superslab *first, size_t count) {
  size_t number = number_of(first);
  for (size_t i = number; i < number + count; i++) bit_clear(registry.taken_superslabs, i);
  if (number < lowest_free && !HAK_SEED_BUG(32)) lowest_free = number;
}

bool span_unmap(struct superslab *superslab) {
  if (os_address_space_limit() == SIZE_MAX || !unmap_number(number_of(superslab))) return false;
  if (!HAK_SEED_BUG(33)) superslab->dirty_slabs = 0;
  return true;
}

struct superslab *span_next(const struct superslab *superslab) { return registry.superslabs[number_of(superslab) + 1]; }

bool span_is_mapped(const struct superslab *superslab) {
  return bit_get(registry.mapped_superslabs, number_of(superslab)) &&
         !bit_get(registry.taken_superslabs, number_of(superslab));
}

size_t span_mapped_superslabs(void) { return mapped_count; }
