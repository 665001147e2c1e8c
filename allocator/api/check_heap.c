// SPDX-License-Identifier: Apache-2.0
//
// hak_check_heap: every block and every slab, one after the other; and the blocks that are live when the process ends.
// Layer: api; reads every layer below. Holds the locks of the pool and the arena, so that no slab comes or goes meanwhile.
// Test: tests/unit/check_heap_test.cc, tests/death.

#include "allocator/api/check_heap.h"

#include <string.h>

#include "allocator/api/box_api.h"
#include "allocator/api/process_lifecycle.h"
#include "allocator/base/options.h"
#include "allocator/base/seeded_bug.h"
#include "allocator/base/size_class.h"
#include "allocator/os/os.h"
#include "allocator/os/text.h"
#include "allocator/page_arena/free_memory.h"
#include "allocator/page_arena/page_arena.h"
#include "allocator/page_arena/stack_depot.h"
#include "allocator/shared_pool/shared_pool.h"
#include "hakmem/hakmem.h"

#define IS_BOX (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX)
static const struct box_call call_check = {"hak_check_heap", BOX_MALLOC, false, BOX_UNKNOWN, BOX_UNKNOWN};

// Calls visit for every run and span that is in use, until one returns false.
struct visitor {
  bool (*visit)(struct visitor *visitor, struct slab *run, struct superslab *span);
  struct hak_misuse *misuse;
};

static bool visit_superslab(struct visitor *visitor, struct superslab *superslab) {
  if (superslab->state == SUPERSLAB_SPAN) return visitor->visit(visitor, NULL, superslab);
  if (superslab->state != SUPERSLAB_SLABS) return true;
  for (unsigned i = 0; i < HAK_SUPERSLAB_SLABS; i++) {
    struct slab *slab = &superslab->slabs[i];
    if (slab->state == SLAB_FREE || slab->run_index != 0) continue;
    if (!visitor->visit(visitor, slab, NULL)) return false;
  }
  return true;
}

static void visit_all(struct visitor *visitor) {
  for (size_t i = 0; i < registry.superslabs_used; i++) {
    if (registry.superslabs[i] != NULL && !visit_superslab(visitor, registry.superslabs[i])) return;
  }
}

// ---- What is wrong --------------------------------------------------------------------------------------------------

static bool check_live_block(void *user, struct hak_misuse *misuse) {
  struct box_block block;
  return box_find_misuse(user, &call_check, &block, misuse) == HAK_MISUSE_NONE;
}

// Without records: a header says that the block is live or free, or at level 0 its class alone.
static bool check_header(const struct slab *run, uintptr_t address, struct hak_misuse *misuse) {
  uint8_t header = block_header_get((const struct block *)address);
  if (header == block_header_live(run->size_class) || header == block_header_listed(run->size_class)) return true;
  *misuse = (struct hak_misuse){.kind = HAK_MISUSE_UNDERFLOW, .function = call_check.function};
  misuse->pointer = (const char *)address - HAK_HEADER_BYTES;
  misuse->block = (const void *)address;
  misuse->size_class = run->size_class;
  misuse->usable_size = size_class_usable(run->size_class);
  misuse->offset = -HAK_HEADER_BYTES;
  return false;
}

static bool check_counts(const struct slab *run, uint32_t free_blocks, struct hak_misuse *misuse) {
  uint32_t blocks = size_classes[run->size_class].blocks;
  bool right = run->carved <= blocks && run->used <= run->carved && run->used + run->free_count == run->carved;
  if (IS_BOX) right = right && free_blocks == run->free_count;
  if (right) return true;
  *misuse = (struct hak_misuse){.kind = HAK_MISUSE_COUNTS, .function = call_check.function};
  misuse->pointer = (const void *)run->address;
  misuse->size_class = run->size_class;
  return false;
}

// What other threads had in hand when the process forked: in a child it stays so. In a heap that is quiet there is none.
static bool is_in_hand(const struct block_record *record) {
  return record->state == BLOCK_IN_HAND || record->state == HAK_BLOCK_UNKNOWN;
}

static bool check_class_run(const struct slab *run, struct hak_misuse *misuse) {
  const struct size_class *class = &size_classes[run->size_class];
  uintptr_t address = run->address + run->first_offset;
  uint32_t free_blocks = 0;
  // One of which no block is used is in hand as a whole: it is on its way back to the page arena.
  if (IS_BOX && run->used == 0) return true;
  for (uint32_t i = 0; i + HAK_SEED_BUG(108) < run->carved && i < class->blocks; i++, address += class->stride) {
    bool right;
    if (!IS_BOX) {
      right = check_header(run, address, misuse);
    } else if (run->records[i].state == HAK_BLOCK_LIVE) {
      right = check_live_block((void *)address, misuse);
    } else if (is_in_hand(&run->records[i])) {
      right = true;
    } else {
      free_blocks += run->records[i].state == HAK_BLOCK_FREE;
      right = block_record_check_free(run->size_class, (const struct block *)address, &run->records[i],
                                      call_check.function, misuse);
    }
    if (!right) return false;
  }
  return check_counts(run, free_blocks, misuse);
}

static bool check_large(const struct large_place *place, struct hak_misuse *misuse) {
  if (!IS_BOX) return true;
  const struct block_record *record = large_block_record(place);
  if (record->state == HAK_BLOCK_LIVE) return check_live_block((void *)large_block_address(place), misuse);
  // Neither live nor in quarantine, it is in somebody's hand.
  if (record->state != HAK_BLOCK_QUARANTINED) return true;
  uintptr_t wrong = record->filled ? free_memory_check(place->start, place->bytes) : 0;
  if (wrong == 0) return true;
  *misuse = (struct hak_misuse){.kind = HAK_MISUSE_WRITE_AFTER_FREE, .function = call_check.function};
  misuse->pointer = (const void *)wrong;
  misuse->block = (const void *)large_block_address(place);
  misuse->usable_size = large_block_capacity(place);
  block_record_describe(record, misuse);
  return false;
}

// What is in no block: pages that went back to the page arena.
static bool check_free_slabs(const struct superslab *superslab, uint32_t slabs, struct hak_misuse *misuse) {
  for (unsigned first = 0, end; first < HAK_SUPERSLAB_SLABS; first = end) {
    for (end = first; end < HAK_SUPERSLAB_SLABS && (slabs >> end & 1) != 0;) end++;
    uintptr_t wrong = free_memory_check(superslab->address + first * HAK_SLAB_BYTES, (end - first) * HAK_SLAB_BYTES);
    if (wrong != 0) {
      *misuse = (struct hak_misuse){.kind = HAK_MISUSE_WRITE_AFTER_FREE, .function = call_check.function};
      misuse->pointer = (const void *)wrong;
      return false;
    }
    if (end == first) end++;
  }
  return true;
}

static void check_unused_memory(struct hak_misuse *misuse) {
  for (size_t i = 0; i < registry.superslabs_used; i++) {
    const struct superslab *superslab = registry.superslabs[i];
    if (superslab != NULL && !check_free_slabs(superslab, page_arena_free_slabs(superslab), misuse)) return;
  }
}

static bool check_visited(struct visitor *visitor, struct slab *run, struct superslab *span) {
  if (run != NULL && run->state == SLAB_CLASS) return check_class_run(run, visitor->misuse);
  struct large_place place;
  uintptr_t start = run != NULL ? run->address : span->address;
  return !large_block_find(start, &place) || check_large(&place, visitor->misuse);
}

HAK_PUBLIC int hak_check_heap(struct hak_misuse *violation) {
  struct hak_misuse misuse = {0};
  if (!process_ready()) return 0;
  int error = os_error_get();
  struct visitor visitor = {check_visited, &misuse};
  shared_pool_lock_all();
  page_arena_lock_all();
  visit_all(&visitor);
  if (IS_BOX && misuse.kind == HAK_MISUSE_NONE) check_unused_memory(&misuse);
  page_arena_unlock_all();
  shared_pool_unlock_all();
  os_error_set(error);
  misuse.size = sizeof misuse;
  misuse.message = misuse_message(misuse.kind);
  if (violation != NULL) *violation = misuse;
  return misuse.kind != HAK_MISUSE_NONE;
}

// ---- What was never freed -------------------------------------------------------------------------------------------

// So many groups are printed, those with the most bytes first, and of the others how much they are.
#define LEAK_GROUPS 20

static size_t unknown_blocks, unknown_bytes;

static void count_live(const struct block_record *record, size_t usable) {
  if (record->state != HAK_BLOCK_LIVE || record->allocation_stack == STACK_DEPOT_OWN) return;
  struct stack_depot_entry *stack = stack_depot_entry(record->allocation_stack);
  *(stack == NULL ? &unknown_blocks : &stack->live_blocks) += 1;
  *(stack == NULL ? &unknown_bytes : &stack->live_bytes) += usable - record->slack;
}

static bool count_visited(struct visitor *visitor, struct slab *run, struct superslab *span) {
  (void)visitor;
  if (run != NULL && run->state == SLAB_CLASS) {
    for (uint32_t i = 0; i < run->carved; i++) count_live(&run->records[i], size_class_usable(run->size_class));
    return true;
  }
  struct large_place place;
  uintptr_t start = run != NULL ? run->address : span->address;
  if (large_block_find(start, &place)) count_live(large_block_record(&place), large_block_capacity(&place));
  return true;
}

static void print_count(struct text *text, size_t blocks, size_t bytes, const char *which) {
  text_string(text, "hakmem: never freed: ");
  text_decimal(text, bytes);
  text_string(text, " bytes in ");
  text_decimal(text, blocks);
  text_string(text, which);
}

static void print_group(struct text *text, const struct stack_depot_entry *stack) {
  print_count(text, stack->live_blocks, stack->live_bytes, " blocks allocated at\n");
  for (uint32_t i = 0; i < stack->count; i++) {
    text_string(text, "    ");
    text_hexadecimal(text, (uintptr_t)stack->frames[i]);
    text_string(text, " ");
    os_describe_address(text, stack->frames[i]);
    text_string(text, "\n");
  }
}

static struct stack_depot_entry *greatest_group(void) {
  struct stack_depot_entry *greatest = NULL;
  for (uint32_t number = 1; number <= stack_depot_count(); number++) {
    struct stack_depot_entry *entry = stack_depot_entry(number);
    if (entry->live_blocks > 0 && (greatest == NULL || entry->live_bytes > greatest->live_bytes)) greatest = entry;
  }
  return greatest;
}

// What was not printed by its stack.
static void print_rest(struct text *text) {
  size_t stacks = 0, blocks = 0, bytes = 0;
  for (uint32_t number = 1; number <= stack_depot_count(); number++) {
    const struct stack_depot_entry *entry = stack_depot_entry(number);
    stacks += entry->live_blocks > 0;
    blocks += entry->live_blocks;
    bytes += entry->live_bytes;
  }
  if (stacks == 0) return;
  print_count(text, blocks, bytes, " blocks allocated at ");
  text_decimal(text, stacks);
  text_string(text, " other places\n");
}

void check_heap_print_leaks(void) {
  struct visitor visitor = {count_visited, NULL};
  struct text text;
  if (!IS_BOX || !process_ready()) return;
  // Other threads may go on allocating and freeing until the process has ended.
  shared_pool_lock_all();
  page_arena_lock_all();
  visit_all(&visitor);
  page_arena_unlock_all();
  shared_pool_unlock_all();
  text_begin(&text, HAK_STANDARD_ERROR);
  for (int i = 0; i < LEAK_GROUPS; i++) {
    struct stack_depot_entry *entry = greatest_group();
    if (entry == NULL) break;
    print_group(&text, entry);
    entry->live_blocks = entry->live_bytes = 0;
  }
  print_rest(&text);
  if (unknown_blocks > 0) {
    print_count(&text, unknown_blocks, unknown_bytes, " blocks whose allocation was not recorded (box_stacks)\n");
  }
  text_end(&text);
}
