// SPDX-License-Identifier: Apache-2.0
//
// First fit over the window's superslabs, by bitmap: low addresses fill up first, so that the high ones become free as
// a whole. Layer: page_arena; calls os and the registry. Lock: the caller holds the page arena's.
// Test: tests/unit/span_test.cc.

#include "allocator/page_arena/span.h"

#include "allocator/base/options.h"
#include "allocator/os/os.h"
#include "allocator/page_arena/metadata.h"
#include "allocator/page_arena/registry.h"

static size_t mapped_count;
static size_t lowest_free;  // no superslab below this number is free

static bool bit_get(const uint64_t *bits, size_t number) { return (bits[number / 64] >> number % 64 & 1) != 0; }
static void bit_set(uint64_t *bits, size_t number) { bits[number / 64] |= (uint64_t)1 << number % 64; }
static void bit_clear(uint64_t *bits, size_t number) { bits[number / 64] &= ~((uint64_t)1 << number % 64); }

static uintptr_t address_of_number(size_t number) { return registry.base + (number << HAK_SUPERSLAB_SHIFT); }
static size_t number_of(const struct superslab *superslab) {
  return (superslab->address - registry.base) >> HAK_SUPERSLAB_SHIFT;
}

// Whether a span may take this superslab as it is or by committing it.
static bool available(size_t number) {
  if (bit_get(registry.taken_superslabs, number)) return false;
  return registry.reserved || bit_get(registry.mapped_superslabs, number);
}

// The record of a superslab; made when the superslab is used for the first time and kept for ever.
static struct superslab *record_of_number(size_t number) {
  struct superslab *superslab = registry.superslabs[number];
  if (superslab != NULL) return superslab;
  superslab = metadata_allocate(sizeof *superslab);
  if (superslab == NULL) return NULL;
  superslab->address = address_of_number(number);
  superslab->zero_slabs = UINT32_MAX;
  for (unsigned i = 0; i < HAK_SUPERSLAB_SLABS; i++) {
    superslab->slabs[i].address = superslab->address + ((uintptr_t)i << HAK_SLAB_SHIFT);
    superslab->slabs[i].number = (uint8_t)i;
  }
  atomic_write_release(&registry.superslabs[number], superslab);
  return superslab;
}

// Makes count superslabs from number on usable and marks them taken. On failure nothing is taken; what was committed
// stays mapped and free.
static bool claim(size_t number, size_t count) {
  for (size_t i = number; i < number + count; i++) {
    if (record_of_number(i) == NULL) return false;
  }
  for (size_t i = number; i < number + count;) {
    if (bit_get(registry.mapped_superslabs, i)) {
      i++;
      continue;
    }
    size_t end = i + 1;
    while (end < number + count && !bit_get(registry.mapped_superslabs, end)) end++;
    void *address = (void *)address_of_number(i);
    if (!os_memory_commit(address, (end - i) << HAK_SUPERSLAB_SHIFT)) return false;
    if (options.thp) os_memory_advise_huge(address, (end - i) << HAK_SUPERSLAB_SHIFT);
    for (; i < end; i++) {
      bit_set(registry.mapped_superslabs, i);
      mapped_count++;
    }
  }
  for (size_t i = number; i < number + count; i++) bit_set(registry.taken_superslabs, i);
  return true;
}

// The first superslab at or after number that is not in a word of 64 unavailable ones.
static size_t skip_unavailable_words(size_t number) {
  while (number < registry.superslab_count) {
    size_t word = number / 64;
    uint64_t unavailable = registry.taken_superslabs[word];
    if (!registry.reserved) unavailable |= ~registry.mapped_superslabs[word];
    if (unavailable != UINT64_MAX) break;
    number = (word + 1) * 64;
  }
  return number;
}

// The first of count available superslabs in a row, or superslab_count if there are none.
static size_t find_free(size_t count, size_t alignment) {
  const size_t step = alignment >> HAK_SUPERSLAB_SHIFT;
  const size_t none = registry.superslab_count;
  lowest_free = skip_unavailable_words(lowest_free);
  size_t start = lowest_free;
  while (start < none && count <= none - start) {
    size_t misaligned = (address_of_number(start) & (alignment - 1)) >> HAK_SUPERSLAB_SHIFT;
    if (misaligned != 0) {
      start += step - misaligned;
      continue;
    }
    size_t length = 0;
    while (length < count && available(start + length)) length++;
    if (length == count) return start;
    start = skip_unavailable_words(start + length + 1);
  }
  return none;
}

// Maps superslabs where nothing was reserved. The kernel chooses the place, which must lie in the window.
static size_t map_unreserved(size_t count, size_t alignment) {
  const size_t none = registry.superslab_count;
  if (count > none) return none;
  size_t bytes = count << HAK_SUPERSLAB_SHIFT;
  void *memory = os_memory_map(bytes, alignment);
  if (memory == NULL) return none;
  size_t number = ((uintptr_t)memory - registry.base) >> HAK_SUPERSLAB_SHIFT;
  if ((uintptr_t)memory < registry.base || number >= none || count > none - number) {
    os_memory_release(memory, bytes);
    return none;
  }
  if (options.thp) os_memory_advise_huge(memory, bytes);
  for (size_t i = number; i < number + count; i++) bit_set(registry.mapped_superslabs, i);
  mapped_count += count;
  if (number < lowest_free) lowest_free = number;
  return number;
}

struct superslab *span_take(size_t count, size_t alignment) {
  size_t number = find_free(count, alignment);
  if (number == registry.superslab_count && !registry.reserved) number = map_unreserved(count, alignment);
  if (number == registry.superslab_count || !claim(number, count)) return NULL;
  return registry.superslabs[number];
}

bool span_extend(struct superslab *first, size_t old_count, size_t count) {
  size_t number = number_of(first) + old_count;
  if (number >= registry.superslab_count || count > registry.superslab_count - number) return false;
  for (size_t i = 0; i < count; i++) {
    if (!available(number + i)) return false;
  }
  return claim(number, count);
}

void span_give(struct superslab *first, size_t count) {
  size_t number = number_of(first);
  for (size_t i = number; i < number + count; i++) bit_clear(registry.taken_superslabs, i);
  if (number < lowest_free) lowest_free = number;
}

bool span_unmap(struct superslab *superslab) {
  if (registry.reserved || !os_memory_release((void *)superslab->address, HAK_SUPERSLAB_BYTES)) return false;
  bit_clear(registry.mapped_superslabs, number_of(superslab));
  mapped_count--;
  superslab->zero_slabs = UINT32_MAX;
  superslab->dirty_slabs = 0;
  return true;
}

struct superslab *span_next(const struct superslab *superslab) {
  return registry.superslabs[number_of(superslab) + 1];
}

size_t span_mapped_superslabs(void) { return mapped_count; }
