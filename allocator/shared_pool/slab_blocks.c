// SPDX-License-Identifier: Apache-2.0
//
// Blocks in and out of one slab run. Layer: shared_pool; calls nothing but base. Lock: the caller holds the class's.
// Test: tests/unit/slab_blocks_test.cc.

#include "allocator/shared_pool/slab_blocks.h"

#include "allocator/base/size_class.h"

void slab_blocks_begin(struct slab *run) {
  const struct size_class *size_class = &size_classes[run->size_class];
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
  size_t place = (run->address >> HAK_SLAB_SHIFT) % places;
  run->first_offset = (uint32_t)(size_class->first_offset + place * step);
}

uint32_t slab_blocks_available(const struct slab *run) { return size_classes[run->size_class].blocks - run->used; }

void slab_blocks_take_listed(struct slab *run, uint32_t wanted, struct chain *chain) {
  uint32_t count = run->free_count < wanted ? run->free_count : wanted;
  if (count == 0) return;
  struct block *first = run->free_list;
  struct block *last = first;
  // The last block need not be found where the whole list leaves and nothing has to follow it.
  if (count < run->free_count || chain->head != NULL) {
    for (uint32_t i = 1; i < count; i++) last = last->next;
    run->free_list = last->next;
    last->next = chain->head;
  } else {
    run->free_list = NULL;
  }
  run->free_count -= count;
  run->used += count;
  chain->head = first;
  chain->count += count;
}

uint32_t slab_blocks_reserve(struct slab *run, uint32_t wanted, uint32_t *first) {
  uint32_t left = size_classes[run->size_class].blocks - run->carved;
  uint32_t count = left < wanted ? left : wanted;
  *first = run->carved;
  // The Box reads it without the lock, for blocks that were carved long before.
  atomic_write_relaxed(&run->carved, *first + count);
  run->used += count;
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
    *block_header(block) = header;
    if (user == last) {
      block->next = chain->head;
      break;
    }
    block->next = block_of_user(user + stride);
  }
  chain->head = head;
  chain->count += count;
}

void slab_blocks_put(struct slab *run, struct block *block) {
  block->next = run->free_list;
  run->free_list = block;
  run->free_count++;
  run->used--;
}
