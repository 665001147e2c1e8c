// SPDX-License-Identifier: Apache-2.0
//
// The checks of the Box. Layer: thread_cache; calls os and page_arena. No lock: a live block belongs to whoever holds it, and
// the records of others are only read. Test: tests/unit/box_test.cc, tests/death.

#include "allocator/thread_cache/box.h"

#include <string.h>

#include "allocator/base/atomics.h"
#include "allocator/base/options.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/base/size_class.h"
#include "allocator/os/os.h"
#include "allocator/page_arena/free_memory.h"
#include "allocator/page_arena/stack_depot.h"
#include "allocator/shared_pool/record_table.h"

HAK_INTERNAL_DEFINITION HAK_THREAD_LOCAL uint32_t box_thread_id;

HAK_COLD uint32_t box_read_thread_id(void) { return box_thread_id = os_thread_id(); }

HAK_COLD uint32_t box_record_stack(void) { return stack_depot_record(__builtin_return_address(0)); }

// ---- What is wrong with a pointer -----------------------------------------------------------------------------------

static enum hak_misuse_kind free_block_kind(const struct box_call *call) {
  return call->frees ? HAK_MISUSE_DOUBLE_FREE : HAK_MISUSE_USE_AFTER_FREE;
}

// The block of a class's run that an address is in; NULL if it is in none that was ever carved.
static struct block_record *record_around(const struct slab *run, uintptr_t address, uintptr_t *begin) {
  const struct size_class *class = &size_classes[run->size_class];
  uintptr_t first = run->address + run->first_offset - HAK_HEADER_BYTES;
  if (address < first) return NULL;
  size_t number = (address - first) / class->stride;
  if (number >= class->blocks || run->records[number].state == HAK_BLOCK_UNKNOWN) return NULL;
  *begin = run->address + run->first_offset + number * class->stride;
  return &run->records[number];
}

// An address in free memory: was a block there that is gone with its slab?
static enum hak_misuse_kind find_in_free_memory(uintptr_t address, const struct box_call *call,
                                                struct hak_misuse *misuse) {
  struct large_place place;
  if (large_block_find_freed(address, &place)) {
    misuse->block = (const void *)large_block_address(&place);
    misuse->usable_size = large_block_capacity(&place);
    block_record_describe(large_block_record(&place), misuse);
    return free_block_kind(call);
  }
  const struct superslab *superslab = registry_find_superslab(address);
  if (superslab == NULL || superslab->slabs == NULL) return HAK_MISUSE_INVALID_POINTER;
  const struct slab *slab = &superslab->slabs[(address - superslab->address) >> HAK_SLAB_SHIFT];
  slab -= slab->run_index;
  if (slab->state != SLAB_FREE || slab->size_class == 0) return HAK_MISUSE_INVALID_POINTER;
  const struct size_class *class = &size_classes[slab->size_class];
  uintptr_t offset = address - (slab->address + slab->first_offset);
  if (offset / class->stride >= slab->carved || offset % class->stride != 0) return HAK_MISUSE_INVALID_POINTER;
  misuse->block = (const void *)address;
  misuse->size_class = slab->size_class;
  misuse->usable_size = class->stride - HAK_HEADER_BYTES;
  misuse->state = HAK_BLOCK_FREE;
  return free_block_kind(call);
}

static enum hak_misuse_kind find_in_large(uintptr_t address, const struct box_call *call, struct box_block *found,
                                          struct hak_misuse *misuse) {
  if (!large_block_find(address, &found->large)) return find_in_free_memory(address, call, misuse);
  uintptr_t block = large_block_address(&found->large);
  found->record = large_block_record(&found->large);
  found->capacity = large_block_capacity(&found->large);
  misuse->block = (const void *)block;
  misuse->usable_size = found->capacity;
  block_record_describe(found->record, misuse);
  if (misuse->offset != 0 && !HAK_SEED_BUG(85)) return HAK_MISUSE_INTERIOR_POINTER;
  if (found->record->state != HAK_BLOCK_LIVE) return free_block_kind(call);
  uintptr_t wrong = large_block_check_front(&found->large);
  if (wrong != 0) {
    misuse->offset = (ptrdiff_t)(wrong - block);
    return HAK_MISUSE_UNDERFLOW;
  }
  wrong = large_block_check_slack(&found->large);
  if (wrong != 0) {
    misuse->offset = (ptrdiff_t)(wrong - block);
    return HAK_MISUSE_OVERFLOW;
  }
  return HAK_MISUSE_NONE;
}

static enum hak_misuse_kind find_in_class(const struct slab *run, uintptr_t address, const struct box_call *call,
                                          struct box_block *found, struct hak_misuse *misuse) {
  found->capacity = size_class_usable(run->size_class);
  found->record = block_record_find(run, address);
  misuse->size_class = run->size_class;
  misuse->usable_size = found->capacity;
  uintptr_t begin = address;
  bool begins = found->record != NULL && found->record->state != HAK_BLOCK_UNKNOWN;
  const struct block_record *record = begins ? found->record : record_around(run, address, &begin);
  if (record == NULL) return HAK_MISUSE_INVALID_POINTER;
  misuse->block = (const void *)begin;
  block_record_describe(record, misuse);
  if (!begins) return HAK_MISUSE_INTERIOR_POINTER;
  if (misuse->state == HAK_BLOCK_UNUSED) return HAK_MISUSE_INVALID_POINTER;
  if (found->record->state != HAK_BLOCK_LIVE && !HAK_SEED_BUG(84)) return free_block_kind(call);
  if (block_header_get(block_of_user(found->user)) != block_header_live(run->size_class)) {
    misuse->offset = -HAK_HEADER_BYTES;
    return HAK_MISUSE_UNDERFLOW;
  }
  uintptr_t wrong = free_memory_check_fill(address + found->capacity - found->record->slack, found->record->slack);
  if (wrong != 0 && (call->frees || !HAK_SEED_BUG(117))) {
    misuse->offset = (ptrdiff_t)(wrong - address);
    return HAK_MISUSE_OVERFLOW;
  }
  if (!box_next_header_is_whole(run->size_class, block_of_user(found->user)) && !HAK_SEED_BUG(86)) {
    misuse->offset = (ptrdiff_t)found->capacity;
    return HAK_MISUSE_NEXT_OVERWRITTEN;
  }
  return HAK_MISUSE_NONE;
}

// What the caller says of a block that is whole.
static enum hak_misuse_kind compare_call(const struct box_call *call, const struct box_block *found,
                                         struct hak_misuse *misuse) {
  if (call->size != BOX_UNKNOWN && call->size != found->capacity - found->record->slack && !HAK_SEED_BUG(87)) {
    misuse->given_size = call->size;
    misuse->expected_size = found->capacity - found->record->slack;
    return HAK_MISUSE_SIZE_MISMATCH;
  }
  bool matches = call->family == found->record->function;
  // malloc's and new's own blocks may be mixed on purpose, aligned or not.
  if (call->alignment != BOX_UNKNOWN && (call->alignment != BOX_NO_ALIGNMENT || matches)) {
    size_t expected = found->record->alignment_shift == 0 ? 0 : (size_t)1 << found->record->alignment_shift;
    if (call->alignment != expected && (call->alignment > HAK_ALIGNMENT || expected != 0)) {
      misuse->given_size = call->alignment;
      misuse->expected_size = expected;
      return HAK_MISUSE_ALIGNMENT_MISMATCH;
    }
  }
  return matches || !call->frees || !options.box_match_functions ? HAK_MISUSE_NONE : HAK_MISUSE_FUNCTION_MISMATCH;
}

// What is needed of the run of a class that holds an address; false if none does. Another thread may be giving the run back
// if the pointer is no live block's: then the class is another one by the time that the rest was read.
static bool read_run(uintptr_t address, struct slab *run) {
  for (;;) {
    unsigned size_class = registry_class_of(address);
    if (size_class == 0) return false;
    const struct slab *shared = atomic_read_relaxed(&registry.slab_runs[registry_slab_number(address)]);
    run->address = shared->address;
    run->first_offset = atomic_read_acquire(&shared->first_offset);
    run->records = atomic_read_acquire(&shared->records);
    run->size_class = (uint8_t)size_class;
    if (atomic_read_acquire(&shared->size_class) == size_class && registry_class_of(address) == size_class) return true;
  }
}

HAK_COLD enum hak_misuse_kind box_find_misuse(void *user, const struct box_call *call, struct box_block *found,
                                              struct hak_misuse *misuse) {
  uintptr_t address = (uintptr_t)user;
  *found = (struct box_block){.user = user};
  *misuse = (struct hak_misuse){.function = call->function, .pointer = user};
  struct slab run = {.size_class = 0};
  record_table_read_begin();
  if (read_run(address, &run)) {
    found->size_class = run.size_class;
    misuse->kind = find_in_class(&run, address, call, found, misuse);
  } else {
    misuse->kind = find_in_large(address, call, found, misuse);
  }
  if (misuse->kind == HAK_MISUSE_NONE) misuse->kind = compare_call(call, found, misuse);
  if (HAK_SEED_BUG_IF(118, misuse->offset != 0)) misuse->offset = 0;
  record_table_read_end();
  return misuse->kind;
}

bool box_examine(void *user, const struct box_call *call, struct box_block *found) {
  struct hak_misuse misuse;
  if (box_find_misuse(user, call, found, &misuse) == HAK_MISUSE_NONE) return true;
  misuse_report(&misuse);
  return misuse.kind == HAK_MISUSE_SIZE_MISMATCH && HAK_SEED_BUG(88);
}

// ---- A block's life -------------------------------------------------------------------------------------------------

void box_note_large_allocation(void *user, size_t alignment) {
  struct large_place place;
  if (!large_block_find((uintptr_t)user, &place)) return;
  struct block_record *record = large_block_record(&place);
  record->allocated_by = box_thread();
  record->allocation_stack = options.box_stacks == 0 ? 0 : box_record_stack();
  record->alignment_shift = alignment > HAK_ALIGNMENT ? (uint8_t)__builtin_ctzll(alignment) : 0;
}

static struct block_record *record_of_user(void *user) {
  struct large_place place;
  if (registry_class_of((uintptr_t)user) != 0) return block_record_of(block_of_user(user));
  return large_block_find((uintptr_t)user, &place) ? large_block_record(&place) : NULL;
}

void box_note_family(void *user, enum box_family family) {
  struct block_record *record = record_of_user(user);
  if (record != NULL) record->function = (uint8_t)family;
}

void box_note_resize(const struct box_block *block, size_t size) {
  size_t old_size = block->capacity - block->record->slack;
  block->record->alignment_shift = 0;
  if (HAK_BOX_FILLS && size < old_size)
    memset((char *)block->user + size, HAK_FILL, old_size - size - HAK_SEED_BUG(89));
  // In this order also in memory: a fork at any point finds a block that is whole.
  HAK_COMPILER_BARRIER();
  block->record->slack = (uint32_t)(block->capacity - size);
  HAK_TRACK_RESIZED(block->user, old_size, size);
  HAK_TRACK_FREED((char *)block->user + size, block->capacity - size);
}

void box_note_large_free(const struct box_block *block) {
  struct block_record *record = block->record;
  record->freed_by = box_thread();
  record->free_stack = options.box_stacks == 0 ? 0 : box_record_stack();
  free_memory_fill(block->large.start, block->large.bytes);
  record->filled = 1;
  box_leave(record, HAK_BLOCK_QUARANTINED);
  HAK_TRACK_BLOCK_FREED(block->user, block->capacity);
  HAK_TRACK_FREED((void *)block->large.start, block->large.bytes);
}

// ---- The TLS SLL ----------------------------------------------------------------------------------------------------

HAK_COLD void box_report_free_block(unsigned size_class, struct block *block) {
  block_record_report_free(size_class, block, block_record_of(block), "malloc");
}

HAK_COLD bool box_scan_list(unsigned size_class, struct block *block, const struct block *list) {
  for (; list != NULL; list = block_next(list)) {
    if (list != block) continue;
    struct hak_misuse misuse = {.kind = HAK_MISUSE_DOUBLE_FREE,
                                .function = "free",
                                .pointer = block,
                                .block = block,
                                .size_class = size_class,
                                .usable_size = size_class_usable(size_class)};
    block_record_describe(block_record_of(block), &misuse);
    misuse_report(&misuse);
    return false;
  }
  return true;
}
