// SPDX-License-Identifier: Apache-2.0
//
// A bump allocator for records. Layer: page_arena; calls os. Lock: its own, the innermost of all.
// Test: tests/unit/metadata_test.cc.

#include "allocator/page_arena/metadata.h"

#include "allocator/base/atomics.h"
#include "allocator/base/config.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/os/lock.h"
#include "allocator/os/os.h"

#define METADATA_CHUNK_BYTES (4 * HAK_SLAB_BYTES)

static struct {
  struct lock lock;
  char *next;
  size_t left;
  size_t taken;
} metadata;

void *metadata_allocate(size_t bytes) {
  bytes = (bytes + HAK_CACHE_LINE - 1) & ~(size_t)(HAK_CACHE_LINE - 1);
  void *result = NULL;
  lock_acquire(&metadata.lock);
  if (metadata.left < bytes) {
    size_t chunk = bytes > METADATA_CHUNK_BYTES ? bytes : METADATA_CHUNK_BYTES;
    chunk = (chunk + HAK_SLAB_BYTES - 1) & ~(HAK_SLAB_BYTES - 1);
    char *memory = os_memory_map(chunk);
    if (memory != NULL || HAK_SEED_BUG(8)) {
      metadata.next = memory;
      metadata.left = chunk;
    }
  }
  if (metadata.left >= bytes) {
    result = metadata.next;
    metadata.next += bytes;
    metadata.left -= bytes;
    metadata.taken += bytes;
  }
  lock_release(&metadata.lock);
  return result;
}

size_t metadata_bytes(void) {
  lock_acquire(&metadata.lock);
  size_t bytes = metadata.taken;
  lock_release(&metadata.lock);
  return bytes;
}

void metadata_lock(void) { lock_acquire(&metadata.lock); }
void metadata_unlock(void) { lock_release(&metadata.lock); }
