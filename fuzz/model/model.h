// SPDX-License-Identifier: Apache-2.0
//
// The reference model of one heap: the blocks that are live, what was asked for, and what was written to them. It is told of
// every call and holds the heap to it. Memory of its own only, and none that the heap under test hands out. Layer: model;
// calls the heap's door. Not instrumented.

#ifndef FUZZ_MODEL_MODEL_H_
#define FUZZ_MODEL_MODEL_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fuzz/heap/heap.h"
#include "fuzz/model/oracle.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MODEL_SLOTS 256

// A set of slots.
struct slot_set {
  uint64_t words[MODEL_SLOTS / 64];
};
// for (unsigned slot = slot_first(&set); slot < MODEL_SLOTS; slot = slot_next(&set, slot))
static inline unsigned slot_at_least(const struct slot_set *set, unsigned slot) {
  for (; slot < MODEL_SLOTS; slot = (slot / 64 + 1) * 64) {
    uint64_t rest = set->words[slot / 64] >> slot % 64;
    if (rest != 0) return slot + (unsigned)__builtin_ctzll(rest);
  }
  return MODEL_SLOTS;
}
static inline unsigned slot_first(const struct slot_set *set) { return slot_at_least(set, 0); }
static inline unsigned slot_next(const struct slot_set *set, unsigned slot) { return slot_at_least(set, slot + 1); }
static inline void slot_add(struct slot_set *set, unsigned slot) { set->words[slot / 64] |= (uint64_t)1 << slot % 64; }
static inline void slot_remove(struct slot_set *set, unsigned slot) {
  set->words[slot / 64] &= ~((uint64_t)1 << slot % 64);
}

struct model_block {
  char *user;  // NULL: the slot is free
  size_t size;
  size_t usable;     // bytes that are written to
  size_t alignment;  // as asked for; 0 where none was
  size_t reserve;    // the greatest alignment that it ever had: so much may be of no use beside it
  uint64_t key;      // of the contents
  bool moving;       // a call is at work that may give it another place; where it was may be anybody's already
  struct heap_place place;
};

struct model {
  const struct heap *heap;
  struct slot_set live;  // slots that have a block
  struct model_block slots[MODEL_SLOTS];
  size_t live_blocks;
  size_t live_bytes;  // as asked for
  size_t live_reach;  // the same with what alignments may keep others from
  uint64_t next_key;
  struct slot_set has_freed;
  const void *freed[MODEL_SLOTS];  // what was last freed from a slot, and not handed out since
  struct heap_place freed_place[MODEL_SLOTS];
  size_t purged_bytes;
  bool alone;    // no other thread comes between the calls that are told of
  bool damaged;  // free memory was written to on purpose, and it was not reported yet
  // How often the heap was looked at as a whole: programs may repeat it more often than it can find anything.
  unsigned whole_looks;
};

void model_begin(struct model *model, const struct heap *heap);

// A new block in a free slot: looked at, and filled.
void model_enter(struct model *model, unsigned slot, void *user, size_t size, size_t alignment, bool zeroed);
// The block of a slot, before and after it moved or was resized to new_user.
void model_resize(struct model *model, unsigned slot, void *new_user, size_t size);
void model_verify(const struct model *model, unsigned slot);
// The same, and what usable_size says of it.
void model_verify_usable(const struct model *model, unsigned slot);
void model_verify_all(const struct model *model);
void model_write(struct model *model, unsigned slot);
// A block that is about to be freed: looked at, and forgotten.
void model_leave(struct model *model, unsigned slot);
// Whether the window may have no room for a block, whatever the system says.
bool model_may_run_out(const struct model *model, size_t bytes, size_t alignment);
// A call gave NULL, or an error, with errno: bytes were wanted, and refused of the memory calls it made were refused.
void model_no_block(const struct model *model, size_t bytes, size_t alignment, int error, size_t refused);

// After that, where nothing but the limit of memory stood in the way: room that a trim makes the call should have made.
void model_check_retried(const struct model *model, size_t bytes);
// Trims as a program does, and looks at what became of it.
void model_trim(struct model *model, size_t keep);

// Between calls.
void model_check_statistics(struct model *model);
void model_check_conservation(const struct model *model);
// The same where so many blocks of each class may be nowhere.
void model_check_conservation_but(const struct model *model, size_t lost);
void model_check_calls(struct model *model);
// Both, by one reading of the statistics.
void model_check_figures(struct model *model);
// After the last block was freed: every thread trims, or ends, and everything is back.
void model_check_drained(struct model *model, bool by_trim);

#ifdef __cplusplus
}
#endif

#endif  // FUZZ_MODEL_MODEL_H_
