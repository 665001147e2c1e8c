// SPDX-License-Identifier: Apache-2.0
//
// The model of live blocks: what is looked at with each call. What is looked at between calls is in model_whole.c. Layer:
// model. Not instrumented. Test: fuzz/model/model_test.cc.

#include "fuzz/model/model.h"

#include <errno.h>
#include <string.h>

#include "fuzz/model/contents.h"

#define LEAST_ALIGNMENT 16
#define HEADER_LIVE 0x80u
#define EDGE ((size_t)4096)
// What the Box puts around a large block, at most.
#define GUARD ((size_t)64)

void model_begin(struct model *model, const struct heap *heap) {
  memset(model, 0, sizeof *model);
  model->heap = heap;
}

// The header in front of a small block is its too.
static const char *begin_of(const struct model_block *block) {
  return block->user - (block->place.size_class != 0 ? 1 : 0);
}

static void check_overlap(const struct model *model, const struct model_block *block) {
  for (unsigned i = slot_first(&model->live); i < MODEL_SLOTS; i = slot_next(&model->live, i)) {
    const struct model_block *other = &model->slots[i];
    if (other->moving) continue;
    bool apart = block->user + block->usable <= begin_of(other) || other->user + other->usable <= begin_of(block);
    ORACLE_CHECK(overlap, apart, "a block of %zu bytes overlaps one of %zu bytes in slot %u", block->usable,
                 other->usable, i);
  }
}

static void check_place(const struct model *model, const struct model_block *block) {
  const struct heap_place *place = &block->place;
  uint8_t header = *model->heap->header(block->user);
  if (place->size_class != 0) {
    ORACLE_CHECK(header, header == (HEADER_LIVE | place->size_class),
                 "the header of a live block of class %u is 0x%02x", place->size_class, header);
  }
  size_t alignment = block->alignment > LEAST_ALIGNMENT ? block->alignment : LEAST_ALIGNMENT;
  ORACLE_CHECK(alignment, (uintptr_t)block->user % alignment == 0, "a block of %zu bytes is not aligned to %zu",
               block->size, alignment);
  // The Box keeps a byte behind a large block, unless its alignment leaves no room for guards.
  bool guarded =
      model->heap->checks_level == 2 && place->size_class == 0 && block->alignment <= model->heap->slab_bytes;
  ORACLE_CHECK(usable, place->usable >= block->size + guarded, "a block of %zu bytes has room for %zu", block->size,
               place->usable);
}

static size_t ask_usable(const struct model *model, const struct model_block *block) {
  size_t usable = model->heap->usable_size(block->user);
  bool is_box = model->heap->checks_level == 2;
  ORACLE_CHECK(usable, usable == (is_box ? block->size : block->place.usable),
               "usable_size says %zu of a block of %zu bytes with room for %zu", usable, block->size,
               block->place.usable);
  // What is written must not go further than the block, whatever it says.
  return usable < block->place.usable ? usable : block->place.usable;
}

static void place_block(struct model *model, struct model_block *block) {
  bool located = model->heap->locate(block->user, &block->place);
  ORACLE_CHECK(overlap, located, "a block of %zu bytes lies where no block is", block->size);
  if (!located) block->place = (struct heap_place){.usable = block->size};
  check_place(model, block);
  block->usable = ask_usable(model, block);
  check_overlap(model, block);
}

static void fill(struct model *model, struct model_block *block) {
  block->key = ++model->next_key * 0xD1342543DE82EF95u;
  contents_fill(block->user, block->usable, block->key);
}

static void forget_freed(struct model *model, const void *user) {
  for (unsigned i = slot_first(&model->has_freed); i < MODEL_SLOTS; i = slot_next(&model->has_freed, i)) {
    if (model->freed[i] != user) continue;
    model->freed[i] = NULL;
    slot_remove(&model->has_freed, i);
  }
}

static void put(struct model *model, unsigned slot, struct model_block *block) {
  model->slots[slot] = *block;
  slot_add(&model->live, slot);
  model->live_blocks++;
  model->live_bytes += block->size;
  model->live_reach += block->size + block->reserve;
  forget_freed(model, block->user);
}

static void take(struct model *model, unsigned slot) {
  model->live_blocks--;
  model->live_bytes -= model->slots[slot].size;
  model->live_reach -= model->slots[slot].size + model->slots[slot].reserve;
  model->slots[slot].user = NULL;
  slot_remove(&model->live, slot);
}

void model_enter(struct model *model, unsigned slot, void *user, size_t size, size_t alignment, bool zeroed) {
  struct model_block block = {.user = user, .size = size, .alignment = alignment, .reserve = alignment};
  // It has superslabs of its own.
  if (alignment > model->heap->slab_bytes && alignment < model->heap->superslab_bytes) {
    block.reserve = model->heap->superslab_bytes;
  }
  place_block(model, &block);
  if (zeroed) {
    size_t wrong = contents_first_not_zero(block.user, block.usable);
    // Where what was asked for ends, and what is usable goes on.
    size_t begin = size < EDGE ? 0 : size - EDGE,
           end = block.usable - begin < 2 * EDGE ? block.usable : begin + 2 * EDGE;
    if (wrong == CONTENTS_RIGHT) wrong = contents_first_not_zero(block.user + begin, end - begin);
    ORACLE_CHECK(zero, wrong == CONTENTS_RIGHT, "byte %zu of a block of %zu bytes is not zero", wrong, size);
  }
  fill(model, &block);
  put(model, slot, &block);
}

void model_resize(struct model *model, unsigned slot, void *new_user, size_t size) {
  struct model_block old = model->slots[slot], block = {.user = new_user, .size = size, .reserve = old.reserve};
  take(model, slot);
  size_t kept = old.usable < size ? old.usable : size;
  size_t wrong = contents_first_wrong(block.user, old.usable, kept, old.key);
  ORACLE_CHECK(content, wrong == CONTENTS_RIGHT, "realloc from %zu to %zu bytes lost byte %zu", old.size, size, wrong);
  place_block(model, &block);
  fill(model, &block);
  put(model, slot, &block);
}

void model_verify(const struct model *model, unsigned slot) {
  const struct model_block *block = &model->slots[slot];
  size_t wrong = contents_first_wrong(block->user, block->usable, block->usable, block->key);
  ORACLE_CHECK(content, wrong == CONTENTS_RIGHT, "byte %zu of the %zu bytes in slot %u was overwritten", wrong,
               block->size, slot);
  check_place(model, block);
}

void model_verify_all(const struct model *model) {
  for (unsigned i = slot_first(&model->live); i < MODEL_SLOTS; i = slot_next(&model->live, i)) {
    if (model->slots[i].moving) continue;
    model_verify(model, i);
  }
}

void model_verify_usable(const struct model *model, unsigned slot) {
  model_verify(model, slot);
  (void)ask_usable(model, &model->slots[slot]);
}

void model_write(struct model *model, unsigned slot) {
  model_verify(model, slot);
  fill(model, &model->slots[slot]);
}

void model_leave(struct model *model, unsigned slot) {
  model_verify(model, slot);
  model->freed[slot] = model->slots[slot].user;
  model->freed_place[slot] = model->slots[slot].place;
  slot_add(&model->has_freed, slot);
  take(model, slot);
}

bool model_may_run_out(const struct model *model, size_t bytes, size_t alignment) {
  size_t much = model->heap->window_bytes / 4;
  // Between superslabs that are somebody else's there is less, and nothing that is longer.
  size_t occupied = model->heap->memory->occupied, more = model->heap->memory->occupied_more;
  size_t superslab = model->heap->superslab_bytes;
  if (occupied != 0) {
    // The guard in front is as long as the alignment, if that is no longer than a slab.
    size_t front = alignment > GUARD && alignment <= model->heap->slab_bytes ? alignment : GUARD;
    size_t superslabs = bytes / superslab + (bytes % superslab + front + GUARD > superslab ? 2 : 1);
    if (superslabs + alignment / superslab + 1 + more > occupied) return true;
    much /= 2;
  }
  return bytes > much || model->live_reach + bytes > much || alignment > much / (model->live_blocks + 4);
}

void model_no_block(const struct model *model, size_t bytes, size_t alignment, int error, size_t refused) {
  ORACLE_CHECK(error, error == ENOMEM, "NULL with errno %d", error);
  bool may_fail = refused > 0 || model_may_run_out(model, bytes, alignment);
  ORACLE_CHECK(error, may_fail, "NULL for %zu bytes, alignment %zu, and no memory call was refused", bytes, alignment);
}
