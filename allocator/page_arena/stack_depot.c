// SPDX-License-Identifier: Apache-2.0
//
// A hash table of stacks, and an index from numbers to them. Layer: page_arena; calls os and metadata. Lock: its own,
// around metadata's. Test: tests/unit/stack_depot_test.cc, tests/death.

#include "allocator/page_arena/stack_depot.h"

#include <string.h>

#include "allocator/base/atomics.h"
#include "allocator/base/options.h"
#include "allocator/os/lock.h"
#include "allocator/os/os.h"
#include "allocator/page_arena/metadata.h"

#define DEPOT_BUCKETS 4096
#define DEPOT_FRAMES_MAX 32
// The index is a list of pages, so that it grows without moving.
#define INDEX_PAGE 1024
#define INDEX_PAGES 1024

static struct {
  struct lock lock;
  uint32_t count;
  struct stack_depot_entry *buckets[DEPOT_BUCKETS];
  struct stack_depot_entry **index[INDEX_PAGES];
} depot;

static HAK_THREAD_LOCAL bool capturing;

static uint32_t hash_of(const void *const *frames, size_t count) {
  uint64_t hash = count;
  for (size_t i = 0; i < count; i++) hash = (hash ^ (uintptr_t)frames[i]) * 0x9E3779B97F4A7C15u;
  return (uint32_t)(hash >> 40) % DEPOT_BUCKETS;
}

static struct stack_depot_entry *add_entry(const void *const *frames, size_t count) {
  uint32_t page = depot.count / INDEX_PAGE;
  if (page == INDEX_PAGES) return NULL;
  if (depot.index[page] == NULL) {
    struct stack_depot_entry **fresh = metadata_allocate(INDEX_PAGE * sizeof *fresh);
    if (fresh == NULL) return NULL;
    atomic_write_release(&depot.index[page], fresh);
  }
  struct stack_depot_entry *entry = metadata_allocate(sizeof *entry + count * sizeof *frames);
  if (entry == NULL) return NULL;
  memcpy(entry->frames, frames, count * sizeof *frames);
  entry->count = (uint32_t)count;
  depot.index[page][depot.count % INDEX_PAGE] = entry;
  entry->number = depot.count + 1;
  atomic_write_release(&depot.count, entry->number);
  return entry;
}

uint32_t stack_depot_record(const void *inner) {
  const void *frames[DEPOT_FRAMES_MAX];
  if (capturing) return STACK_DEPOT_OWN;
  capturing = true;
  size_t count = os_stack_capture(frames, options.box_stacks, inner);
  capturing = false;
  if (count == 0) return 0;
  struct stack_depot_entry **bucket = &depot.buckets[hash_of(frames, count)];
  lock_acquire(&depot.lock);
  struct stack_depot_entry *entry = *bucket;
  while (entry != NULL && (entry->count != count || memcmp(entry->frames, frames, count * sizeof *frames) != 0)) {
    entry = entry->next;
  }
  if (entry == NULL) {
    entry = add_entry(frames, count);
    if (entry != NULL) {
      entry->next = *bucket;
      *bucket = entry;
    }
  }
  lock_release(&depot.lock);
  return entry == NULL ? 0 : entry->number;
}

void stack_depot_prepare(void) {
  capturing = true;
  os_stack_prepare();
  capturing = false;
}

struct stack_depot_entry *stack_depot_entry(uint32_t number) {
  if (number == 0 || number > stack_depot_count()) return NULL;
  return atomic_read_acquire(&depot.index[(number - 1) / INDEX_PAGE])[(number - 1) % INDEX_PAGE];
}

uint32_t stack_depot_count(void) { return atomic_read_acquire(&depot.count); }
void stack_depot_lock(void) { lock_acquire(&depot.lock); }
void stack_depot_unlock(void) { lock_release(&depot.lock); }
