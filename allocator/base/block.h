// SPDX-License-Identifier: Apache-2.0
//
// The three things a small block is made of: its header byte, its user bytes, and the free-list link that lies in them
// while the block is free. This is the only file that knows where the header is. Layer: base. No state.
//
//     … previous block's user bytes | header | user bytes …            | next block's header
//                                     ^ user - 1                          ^ user + stride - 1
//                                              ^ user pointer, a multiple of 16
//
// Inside the allocator a block is a struct block *, at its borders a void *; block_of_user and user_of_block are the
// only way from one to the other.

#ifndef ALLOCATOR_BASE_BLOCK_H_
#define ALLOCATOR_BASE_BLOCK_H_

#include <stdbool.h>
#include <stdint.h>

#include "allocator/base/config.h"
#include "allocator/base/track.h"

struct block {
  struct block *next;  // while the block is free
};

// Blocks of one class, linked, changing hands as a whole.
struct chain {
  struct block *head;
  uint32_t count;
};

// 0x00, 0xFF and ASCII are no valid header, so that an overwritten one is found.
#define HAK_HEADER_LIVE 0x80u
#define HAK_HEADER_FREE 0xC0u
#define HAK_HEADER_CLASS 0x3Fu

HAK_INLINE struct block *block_of_user(void *user) { return (struct block *)user; }
HAK_INLINE void *user_of_block(struct block *block) { return (void *)block; }

HAK_INLINE uint8_t *block_header(const struct block *block) { return (uint8_t *)block - HAK_HEADER_BYTES; }
// Relaxed atomic accesses: the Box also looks at the headers of neighbours, which other threads free.
HAK_UNTRACKED uint8_t block_header_get(const struct block *block) {
  HAK_TRACK_PAUSE();
  uint8_t header = __atomic_load_n(block_header(block), __ATOMIC_RELAXED);
  HAK_TRACK_RESUME();
  return header;
}
HAK_UNTRACKED void block_header_set(struct block *block, uint8_t header) {
  HAK_TRACK_PAUSE();
  __atomic_store_n(block_header(block), header, __ATOMIC_RELAXED);
  HAK_TRACK_RESUME();
}
HAK_UNTRACKED struct block *block_link_get(const struct block *block) {
  HAK_TRACK_PAUSE();
  struct block *next = block->next;
  HAK_TRACK_RESUME();
  return next;
}
HAK_UNTRACKED void block_link_set(struct block *block, struct block *next) {
  HAK_TRACK_PAUSE();
  block->next = next;
  HAK_TRACK_RESUME();
}

HAK_INLINE uint8_t block_header_live(unsigned size_class) { return (uint8_t)(HAK_HEADER_LIVE | size_class); }
HAK_INLINE uint8_t block_header_free(unsigned size_class) { return (uint8_t)(HAK_HEADER_FREE | size_class); }

// The header of a block in a free list. The direct variant does not tell live and free apart: it would cost a store in
// every malloc that nothing reads.
HAK_INLINE uint8_t block_header_listed(unsigned size_class) {
  return HAK_CHECKS_LEVEL == HAK_CHECKS_DIRECT ? block_header_live(size_class) : block_header_free(size_class);
}

#endif  // ALLOCATOR_BASE_BLOCK_H_
