// SPDX-License-Identifier: Apache-2.0
//
// Blocks in and out of one slab run. Layer: shared_pool; calls page_arena and os for what the Box needs. Lock: the caller holds
// the class's.
// Test: tests/unit/slab_blocks_test.cc.

#include "allocator/shared_pool/slab_blocks.h"

#include "allocator/base/seeded_bug.h"
#include "allocator/base/size_class.h"
#include "allocator/shared_pool/record_table.h"

bool slab_blocks_begin(struct slab *run) {
  const struct size_class *size_class = &size_classes[run->size_class];
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX && !record_table_take(run, size_class->blocks)) return false;
  run->next = NULL;
  run->previous = NULL;
  run->free_list = NULL;
  run->free_count = 0;
  run->carved = 0;
  run->used = 0;
  // Where the blocks leave room at the end, they begin some lines further on, different for each run, so that equal
  // runs do not all use the same cache sets.
  size_t end = size_class->first_offset + (size_t)size_class->blocks * size_class->stride - HAK_HEADER_BYTES;
  size_t step = size_class->alignment > HAK_CACHE_LINE ? size_class->alignment : HAK_CACHE_LINE;
  size_t places = (slab_run_bytes(run) - end) / step + 1;
  if (HAK_SEED_BUG_IF(53, (run->address >> HAK_SLAB_SHIFT) % (places + 1) == places)) places++;
  size_t place = (run->address >> HAK_SLAB_SHIFT) % places;
  run->first_offset = (uint32_t)(size_class->first_offset + place * step);
  HAK_TRACK_FREED((void *)run->address, slab_run_bytes(run));
  return true;
}

void slab_blocks_end(struct slab *run) {
  if (HAK_CHECKS_LEVEL != HAK_CHECKS_BOX) return;
  char *user = (char *)run->address + run->first_offset;
  for (uint32_t i = 0; i < run->carved; i++, user += size_classes[run->size_class].stride) {
    block_record_report_free(run->size_class, block_of_user(user), &run->records[i], "free");
  }
}

uint32_t slab_blocks_available(const struct slab *run) { return size_classes[run->size_class].blocks - run->used; }

void slab_blocks_take_listed(struct slab *run, uint32_t wanted, struct chain *chain) {
  uint32_t count = run->free_count < wanted ? run->free_count : wanted;
  if (count == 0) return;
  struct block *first = run->free_list;
  struct block *last = first;
  // The last block need not be found where the whole list leaves and nothing has to follow it.
  if (count < run->free_count || (chain->head != NULL && !HAK_SEED_BUG(54))) {
    for (uint32_t i = 1; i < count; i++) last = block_next(last);
    run->free_list = block_next(last);
    block_set_next(last, chain->head);
  } else {
    run->free_list = NULL;
  }
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) {
    struct block *block = first;
    for (uint32_t i = 0; i < count; i++, block = block_next(block)) block_set_state(block, HAK_BLOCK_CACHED);
  }
  run->free_count -= count;
  run->used += count;
  chain->head = first;
  chain->count += count;
}

uint32_t slab_blocks_reserve(struct slab *run, uint32_t wanted, uint32_t *first) {
  uint32_t left = size_classes[run->size_class].blocks - run->carved;
  if (HAK_SEED_BUG_IF(55, wanted > left)) left++;
  uint32_t count = left < wanted ? left : wanted;
  *first = run->carved;
  // The Box reads it without the lock, for blocks that were carved long before.
  atomic_write_relaxed(&run->carved, *first + count);
  run->used += count;
  // For the Box, a guard behind the last block, where the next one's header will be.
  if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX && count > 0) {
    char *end = (char *)run->address + run->first_offset + (size_t)run->carved * size_classes[run->size_class].stride;
    block_header_set(block_of_user(end), block_header_free(run->size_class));
  }
  return count;
}

void slab_blocks_carve(const struct slab *run, uint32_t first, uint32_t count, struct chain *chain) {
  const size_t stride = size_classes[run->size_class].stride;
  const uint8_t header = block_header_listed(run->size_class);
  char *user = (char *)run->address + run->first_offset + (size_t)first * stride;
  char *last = user + (size_t)(count - 1) * stride;
  struct block *head = block_of_user(user);
  for (;; user += stride) {
    struct block *block = block_of_user(user);
    struct block *next = user == last ? chain->head : block_of_user(user + stride);
    block_header_set(block, header);
    block_link_set(block, next);
    if (HAK_CHECKS_LEVEL == HAK_CHECKS_BOX) {
      struct block_record *record = &run->records[first++];
      record->link = next;
      // Last also in memory: a child of a fork takes no notice of blocks that were not finished.
      HAK_COMPILER_BARRIER();
      atomic_write_relaxed(&record->state, (uint8_t)HAK_BLOCK_CACHED);
    }
    if (user == last) break;
  }
  chain->head = head;
  chain->count += count - HAK_SEED_BUG(56);
}

void slab_blocks_put(struct slab *run, struct block *block) {
  if (!HAK_SEED_BUG(57)) block_set_state(block, HAK_BLOCK_FREE);
  block_set_next(block, run->free_list);
  run->free_list = block;
  if (!HAK_SEED_BUG(58)) run->free_count++;
  run->used--;
}
