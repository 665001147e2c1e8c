// SPDX-License-Identifier: Apache-2.0
//
// Tables of records, in pages. Layer: shared_pool; calls os. Lock: its own, inside a class's. Test:
// tests/unit/record_table_test.cc.

#include "allocator/shared_pool/record_table.h"

#include <string.h>

#include "allocator/base/atomics.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/base/size_class.h"
#include "allocator/os/lock.h"
#include "allocator/os/os.h"

#define TABLE_PAGE ((size_t)4096)
#define TABLE_PAGES_MAX (HAK_CLASS_MAX_BLOCKS * sizeof(struct block_record) / TABLE_PAGE + 1)

static struct {
  struct lock lock;
  uint32_t readers;
  struct block_record *unused[TABLE_PAGES_MAX + 1];  // by pages, linked by their first record
} tables;

static struct block_record *take_unused(unsigned pages) {
  lock_acquire(&tables.lock);
  struct block_record *table = tables.unused[pages];
  if (table != NULL) {
    tables.unused[pages] = (struct block_record *)table->link;
    table->link = NULL;
  }
  lock_release(&tables.lock);
  return table;
}

bool record_table_take(struct slab *run, uint32_t blocks) {
  unsigned pages = (unsigned)((blocks * sizeof(struct block_record) + TABLE_PAGE - 1) / TABLE_PAGE);
  struct block_record *table = take_unused(pages);
  if (table == NULL) table = os_memory_map(pages * TABLE_PAGE);
  if (table == NULL) return false;
  run->record_pages = (uint8_t)pages;
  run->records = table;
  return true;
}

// Read and written in one order with the classes of the registry: either the reader does not see the run's class any more, or
// whoever gives the table back sees the reader.
void record_table_read_begin(void) { __atomic_fetch_add(&tables.readers, 1, __ATOMIC_SEQ_CST); }
void record_table_read_end(void) { __atomic_fetch_sub(&tables.readers, 1, __ATOMIC_SEQ_CST); }
void record_table_forget_readers(void) { atomic_write_relaxed(&tables.readers, 0); }

// Where address space is limited, none is kept, unless it may be read.
void record_table_give(struct block_record *records, unsigned pages) {
  size_t bytes = pages * TABLE_PAGE;
  bool limited = os_address_space_limit() != SIZE_MAX;
  bool unread = limited && __atomic_fetch_add(&tables.readers, 0, __ATOMIC_SEQ_CST) == 0;
  if (unread && os_memory_release(records, bytes)) return;
  if (!os_memory_purge(records, bytes) && !HAK_SEED_BUG(52)) memset(records, 0, bytes);
  if (HAK_SEED_BUG(114)) return;
  lock_acquire(&tables.lock);
  records->link = (struct block *)tables.unused[pages];
  tables.unused[pages] = records;
  lock_release(&tables.lock);
}

void record_table_lock(void) { lock_acquire(&tables.lock); }
void record_table_unlock(void) { lock_release(&tables.lock); }
