// SPDX-License-Identifier: Apache-2.0
//
// The list of thread records. Layer: thread_cache; calls page_arena's metadata. Lock: its own, the outermost of all.
// Test: tests/unit/thread_cache_test.cc.

#include "allocator/thread_cache/thread_record.h"

#include <string.h>

#include "allocator/base/seeded_bug.h"
#include "allocator/os/lock.h"
#include "allocator/page_arena/metadata.h"

static struct {
  struct lock lock;
  struct thread_record *first;
  struct thread_record *unused;  // linked by next
} records;

void thread_record_lock(void) { lock_acquire(&records.lock); }
void thread_record_unlock(void) { lock_release(&records.lock); }
struct thread_record *thread_record_first(void) { return records.first; }

struct thread_record *thread_record_take(struct thread_cache *cache) {
  thread_record_lock();
  struct thread_record *record = records.unused;
  if (record != NULL) {
    records.unused = record->next;
    if (!HAK_SEED_BUG_IF(80, record->previous != NULL)) memset(record, 0, sizeof *record);
  } else {
    record = metadata_allocate(sizeof *record);
  }
  if (record != NULL) {
    record->cache = cache;
    record->next = records.first;
    if (record->next != NULL) record->next->previous = record;
    records.first = record;
  }
  thread_record_unlock();
  return record;
}

void thread_record_give(struct thread_record *record) {
  thread_record_lock();
  *(record->previous == NULL ? &records.first : &record->previous->next) = record->next;
  if (record->next != NULL) record->next->previous = record->previous;
  record->next = records.unused;
  if (!HAK_SEED_BUG(115)) records.unused = record;
  thread_record_unlock();
}
