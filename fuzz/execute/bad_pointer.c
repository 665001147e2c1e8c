// SPDX-License-Identifier: Apache-2.0
//
// Bad pointers. Layer: execute. Not instrumented. Test: fuzz/execute/misuse_test.cc.

#include "fuzz/execute/bad_pointer.h"

#define KINDS BAD_POINTER_KINDS
#define HEADER_LIVE_TO_FREE 0x40u
#define ZERO_TO_FILL 0xFBu

uint32_t bad_pointer_kinds(const enum hak_misuse_kind *kinds) {
  uint32_t mask = 0;
  for (; *kinds != HAK_MISUSE_NONE; kinds++) mask |= 1u << *kinds;
  return mask;
}

static bool is_box(const struct model *model) { return model->heap->checks_level == 2; }

// ---- A pointer that is not to be given back --------------------------------------------------------------------------

// The direct variant knows only that no block begins there.
static struct bad_pointer freed_pointer(const struct model *model, unsigned slot) {
  struct bad_pointer bad = {.user = (char *)model->freed[slot]};
  struct heap_place place;
  if (bad.user == NULL) return bad;
  if (!is_box(model)) {
    bad.kinds = KINDS(HAK_MISUSE_INVALID_POINTER);
  } else if (model->heap->locate(bad.user, &place) && place.size_class != 0) {
    // A block of the run that is there now, which may not have been handed out since that run began.
    bad.kinds = KINDS(HAK_MISUSE_DOUBLE_FREE, HAK_MISUSE_USE_AFTER_FREE, HAK_MISUSE_INVALID_POINTER);
  } else {
    bad.kinds = KINDS(HAK_MISUSE_DOUBLE_FREE, HAK_MISUSE_USE_AFTER_FREE, HAK_MISUSE_INVALID_POINTER,
                      HAK_MISUSE_INTERIOR_POINTER);
  }
  return bad;
}

static struct bad_pointer pointer_into(const struct model *model, unsigned slot, size_t offset) {
  const struct model_block *block = &model->slots[slot];
  return (struct bad_pointer){
      .user = block->user + offset,
      .kinds = is_box(model) ? KINDS(HAK_MISUSE_INTERIOR_POINTER) : KINDS(HAK_MISUSE_INVALID_POINTER),
      .block = block,
      .offset = (ptrdiff_t)offset,
  };
}

static struct bad_pointer misaligned_pointer(const struct model *model, unsigned slot, int delta) {
  const struct model_block *block = &model->slots[slot];
  // Within the block: behind the last one that was carved nothing begins.
  if (block->user == NULL || block->usable < 2) return (struct bad_pointer){0};
  size_t offsets = block->usable - 1 < 15 ? block->usable - 1 : 15;
  return pointer_into(model, slot, 1 + (unsigned)delta % offsets);
}

static struct bad_pointer interior_pointer(const struct model *model, unsigned slot, int delta, bool forged) {
  const struct model_block *block = &model->slots[slot];
  if (block->user == NULL || block->usable <= 16) return (struct bad_pointer){0};
  size_t steps = (block->usable - 1) / 16;
  struct bad_pointer bad = pointer_into(model, slot, 16 * (1 + (unsigned)delta % steps));
  if (forged) {
    bad.byte = (uint8_t *)bad.user - 1;
    bad.value = block->place.size_class != 0 ? *model->heap->header(block->user) : 0x81;
  }
  return bad;
}

static struct bad_pointer foreign_pointer(int delta) {
  static char global[64] __attribute__((aligned(64)));
  static const uintptr_t addresses[] = {
      1, 16, 4096, UINTPTR_MAX, UINTPTR_MAX - 15, (uintptr_t)1 << 63, (uintptr_t)1 << 47};
  const unsigned count = sizeof addresses / sizeof addresses[0];
  unsigned choice = (unsigned)(uint8_t)delta % (count + 2);
  struct bad_pointer bad = {.user = global + 16, .kinds = KINDS(HAK_MISUSE_INVALID_POINTER)};
  if (choice < count) bad.user = (char *)addresses[choice];
  if (choice == count) bad.user = (char *)__builtin_frame_address(0);
  return bad;
}

// The direct variant looks at no header, no size and no state: only at what is in no slab of a class.
static bool is_promised(const struct model *model, unsigned misuse, unsigned slot) {
  const struct model_block *block = &model->slots[slot];
  if (is_box(model) || misuse == OP_MISUSE_FREE_FOREIGN) return true;
  if (misuse == OP_MISUSE_DOUBLE_FREE) return !model->heap->in_class_slab(model->freed[slot]);
  bool is_large = block->user != NULL && block->place.size_class == 0;
  return is_large && (misuse == OP_MISUSE_FREE_MISALIGNED || misuse == OP_MISUSE_FREE_INTERIOR);
}

struct bad_pointer bad_pointer_find(const struct model *model, unsigned misuse, unsigned slot, int delta) {
  if (!is_promised(model, misuse, slot)) return (struct bad_pointer){0};
  switch (misuse) {
    case OP_MISUSE_DOUBLE_FREE:
      return freed_pointer(model, slot);
    case OP_MISUSE_FREE_MISALIGNED:
      return misaligned_pointer(model, slot, delta);
    case OP_MISUSE_FREE_INTERIOR:
      return interior_pointer(model, slot, delta, false);
    case OP_MISUSE_FREE_FORGED:
      return interior_pointer(model, slot, delta, true);
    default:
      return foreign_pointer(delta);
  }
}

// ---- A block that was damaged ---------------------------------------------------------------------------------------

static struct bad_pointer damaged_block(const struct model_block *block, ptrdiff_t offset, int delta, uint32_t kinds) {
  uint8_t *byte = (uint8_t *)block->user + offset;
  return (struct bad_pointer){.user = block->user,
                              .kinds = kinds,
                              .block = block,
                              .offset = offset,
                              .byte = byte,
                              .value = (uint8_t)(*byte ^ delta)};
}

static struct bad_pointer underflown_block(const struct model *model, const struct model_block *block, int delta) {
  // A large block has a guard in front, except where a greater alignment once put it at the beginning of its superslab.
  bool guarded = model->heap->fills && (uintptr_t)block->user % model->heap->superslab_bytes != 0;
  if (block->place.size_class == 0 && !guarded) return (struct bad_pointer){0};
  return damaged_block(block, -1, delta, KINDS(HAK_MISUSE_UNDERFLOW));
}

static struct bad_pointer overflown_block(const struct model *model, const struct model_block *block, int delta) {
  bool has_slack = block->size < block->place.usable;
  if (!model->heap->fills) return (struct bad_pointer){0};
  // The next header, of which it is not known here whether its block is live or free.
  if (!has_slack && (uint8_t)delta == HEADER_LIVE_TO_FREE) return (struct bad_pointer){0};
  // Behind a large block are pages that may be zero or filled: by that one byte it is not known which, and so which is wrong.
  if (block->place.size_class == 0 && (uint8_t)delta == ZERO_TO_FILL) return (struct bad_pointer){0};
  return damaged_block(block, (ptrdiff_t)block->size, delta,
                       has_slack ? KINDS(HAK_MISUSE_OVERFLOW) : KINDS(HAK_MISUSE_NEXT_OVERWRITTEN));
}

struct bad_pointer bad_pointer_damage(const struct model *model, unsigned misuse, unsigned slot, int delta) {
  const struct model_block *block = &model->slots[slot];
  if (block->user == NULL || delta == 0) return (struct bad_pointer){0};
  return misuse == OP_MISUSE_UNDERFLOW ? underflown_block(model, block, delta) : overflown_block(model, block, delta);
}
