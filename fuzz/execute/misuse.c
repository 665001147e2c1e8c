// SPDX-License-Identifier: Apache-2.0
//
// Misuse, and what must come of it. Layer: execute. Not instrumented. Test:
// fuzz/execute/execute_test.cc, and seeded bugs 74 and 80 to 90.

#include "fuzz/execute/misuse.h"

#include <errno.h>
#include <string.h>

#define KINDS(...) kinds_of((const enum hak_misuse_kind[]){__VA_ARGS__, HAK_MISUSE_NONE})
#define HEADER_LIVE_TO_FREE 0x40u

static struct {
  unsigned count;
  struct hak_misuse last;
} reports;

// A byte of a free block that was changed and left so, of a link the first; NULL: none is.
static const char *damaged_byte;

static void note_report(const struct hak_misuse *misuse) {
  reports.count++;
  reports.last = *misuse;
}

void misuse_begin(const struct heap *heap) {
  reports.count = 0;
  damaged_byte = NULL;
  heap->set_misuse_handler(note_report);
}

static bool is_of_damage(const struct hak_misuse *misuse) {
  return damaged_byte != NULL && misuse->kind == HAK_MISUSE_WRITE_AFTER_FREE && misuse->pointer == damaged_byte;
}

void misuse_expect_none(struct execution *execution, struct op *op) {
  (void)op;
  // Whoever used the block again, or checked its slab, has seen it now.
  if (reports.count == 1 && is_of_damage(&reports.last)) {
    reports.count = 0;
    damaged_byte = NULL;
    execution->models[0].damaged = false;
  }
  ORACLE_CHECK(misuse, reports.count == 0, "reported, where nothing was wrong: %s: %s", reports.last.function,
               reports.last.message);
  reports.count = 0;
}

void misuse_end(struct execution *execution) {
  misuse_expect_none(execution, NULL);
  ORACLE_CHECK(misuse, damaged_byte == NULL, "a write after free was never reported");
}

static uint32_t kinds_of(const enum hak_misuse_kind *kinds) {
  uint32_t mask = 0;
  for (; *kinds != HAK_MISUSE_NONE; kinds++) mask |= 1u << *kinds;
  return mask;
}

// ---- A pointer that is not to be given back --------------------------------------------------------------------------

struct bad_pointer {
  char *user;  // NULL: there is none in this state of the heap
  uint32_t kinds;
  // A byte that is changed for the call, and what it becomes; NULL: none is.
  uint8_t *byte;
  uint8_t value;
};

// The direct variant knows only that no block begins there.
static struct bad_pointer freed_pointer(const struct model *model, unsigned slot) {
  struct bad_pointer bad = {.user = (char *)model->freed[slot]};
  struct heap_place place;
  if (bad.user == NULL) return bad;
  if (model->heap->checks_level != 2) {
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

// Of the direct variant as above.
static uint32_t interior_kinds(const struct model *model) {
  return model->heap->checks_level == 2 ? KINDS(HAK_MISUSE_INTERIOR_POINTER) : KINDS(HAK_MISUSE_INVALID_POINTER);
}

static struct bad_pointer misaligned_pointer(const struct model *model, unsigned slot, int delta) {
  const struct model_block *block = &model->slots[slot];
  // Within the block: behind the last one that was carved nothing begins.
  if (block->user == NULL || block->usable < 2) return (struct bad_pointer){0};
  size_t offsets = block->usable - 1 < 15 ? block->usable - 1 : 15;
  return (struct bad_pointer){.user = block->user + 1 + (unsigned)delta % offsets, .kinds = interior_kinds(model)};
}

static struct bad_pointer interior_pointer(const struct model *model, unsigned slot, int delta, bool forged) {
  const struct model_block *block = &model->slots[slot];
  if (block->user == NULL || block->usable <= 16) return (struct bad_pointer){0};
  size_t steps = (block->usable - 1) / 16;
  struct bad_pointer bad = {.user = block->user + 16 * (1 + (unsigned)delta % steps), .kinds = interior_kinds(model)};
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

static struct bad_pointer find_pointer(const struct model *model, unsigned kind, unsigned slot, int delta) {
  switch (kind) {
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

static struct bad_pointer underflown_block(const struct model *model, unsigned slot, int delta) {
  const struct model_block *block = &model->slots[slot];
  if (block->user == NULL || delta == 0) return (struct bad_pointer){0};
  // A large block has a guard in front, except where a greater alignment once put it at the beginning of its superslab.
  bool guarded = model->heap->fills && (uintptr_t)block->user % model->heap->superslab_bytes != 0;
  if (block->place.size_class == 0 && !guarded) return (struct bad_pointer){0};
  uint8_t *byte = (uint8_t *)block->user - 1;
  return (struct bad_pointer){block->user, KINDS(HAK_MISUSE_UNDERFLOW), byte, (uint8_t)(*byte ^ delta)};
}

static struct bad_pointer overflown_block(const struct model *model, unsigned slot, int delta) {
  const struct model_block *block = &model->slots[slot];
  if (block->user == NULL || delta == 0 || !model->heap->fills) return (struct bad_pointer){0};
  uint8_t *byte = (uint8_t *)block->user + block->size;
  if (block->size < block->place.usable) {
    return (struct bad_pointer){block->user, KINDS(HAK_MISUSE_OVERFLOW), byte, (uint8_t)(*byte ^ delta)};
  }
  // The next header, of which it is not known here whether its block is live or free.
  if ((uint8_t)delta == HEADER_LIVE_TO_FREE) return (struct bad_pointer){0};
  return (struct bad_pointer){block->user, KINDS(HAK_MISUSE_NEXT_OVERWRITTEN), byte, (uint8_t)(*byte ^ delta)};
}

// ---- The calls ------------------------------------------------------------------------------------------------------

struct expectation {
  struct execution *execution;
  uint64_t digest;
  uint8_t *byte;
  uint8_t was;
};

static struct expectation expect_misuse(struct execution *execution, const struct bad_pointer *bad) {
  struct expectation expectation = {.execution = execution, .byte = bad->byte};
  misuse_expect_none(execution, NULL);
  if (bad->byte != NULL) {
    expectation.was = *bad->byte;
    *bad->byte = bad->value;
  }
  if (oracle_is_on(ORACLE_unchanged)) expectation.digest = execution->models[0].heap->digest();
  errno = 0;
  return expectation;
}

static void check_misuse(const struct expectation *expectation, const struct bad_pointer *bad) {
  struct model *model = &expectation->execution->models[0];
  if (oracle_is_on(ORACLE_unchanged)) {
    ORACLE_CHECK(unchanged, model->heap->digest() == expectation->digest, "a call that was reported changed the heap");
  }
  if (expectation->byte != NULL) *expectation->byte = expectation->was;
  ORACLE_CHECK(misuse, reports.count == 1, "%u reports of one misuse", reports.count);
  ORACLE_CHECK(misuse, reports.count == 0 || (1u << reports.last.kind & bad->kinds) != 0, "reported as \"%s\"",
               reports.last.message);
  reports.count = 0;
}

static void free_wrongly(struct execution *execution, const struct bad_pointer *bad) {
  struct expectation expectation = expect_misuse(execution, bad);
  execution->models[0].heap->free(bad->user);
  check_misuse(&expectation, bad);
}

static void realloc_wrongly(struct execution *execution, const struct bad_pointer *bad) {
  struct expectation expectation = expect_misuse(execution, bad);
  void *moved = execution->models[0].heap->realloc(bad->user, 32);
  ORACLE_CHECK(misuse, moved == NULL, "realloc of a bad pointer gave a block");
  check_misuse(&expectation, bad);
}

static void ask_wrongly(struct execution *execution, const struct bad_pointer *bad) {
  struct expectation expectation = expect_misuse(execution, bad);
  size_t usable = execution->models[0].heap->usable_size(bad->user);
  ORACLE_CHECK(misuse, usable == 0, "malloc_usable_size of a bad pointer is %zu", usable);
  check_misuse(&expectation, bad);
}

static void free_with_size(struct execution *execution, unsigned slot, size_t alignment, size_t size, uint32_t kinds) {
  const struct model_block *block = &execution->models[0].slots[slot];
  struct bad_pointer bad = {.user = block->user, .kinds = kinds};
  struct expectation expectation = expect_misuse(execution, &bad);
  if (alignment == 0) {
    execution->models[0].heap->free_sized(bad.user, size);
  } else {
    execution->models[0].heap->free_aligned_sized(bad.user, alignment, size);
  }
  check_misuse(&expectation, &bad);
}

// A byte of a free block is changed: the heap is looked at as a whole, and must say so. Then the byte is put back, or stays
// as it is for whoever uses the block next.
// where is 0 for the link, 1 for the last bytes, otherwise any of them.
static void write_after_free(struct execution *execution, unsigned slot, int delta, unsigned where, bool stays) {
  struct model *model = &execution->models[0];
  const struct heap *heap = model->heap;
  char *user = (char *)model->freed[slot];
  struct heap_place place;
  struct hak_misuse misuse;
  if (user == NULL || delta == 0 || !heap->fills || !heap->locate(user, &place)) return;
  if (place.size_class == 0 || place.size_class != model->freed_place[slot].size_class) return;
  // What was reported, or carved anew, is not looked at before somebody has it.
  if (!place.filled) return;
  size_t choice = (uint8_t)delta, offset = choice * 7919 % place.usable;
  if (where == 0) offset = choice % sizeof(void *);
  if (where == 1) offset = place.usable - 1 - choice % 4;
  // No block's address, which the link might rightly become.
  if (stays && offset < sizeof(void *)) {
    offset = 0;
    delta |= 1;
  }
  misuse_expect_none(execution, NULL);
  if (model->damaged) return;
  user[offset] = (char)(user[offset] ^ delta);
  int found = heap->check_heap(&misuse);
  ORACLE_CHECK(misuse, found == 1, "byte %zu of a free block was changed, and the heap is said to be whole", offset);
  ORACLE_CHECK(misuse, found == 0 || misuse.kind == HAK_MISUSE_WRITE_AFTER_FREE, "a write after free is \"%s\"",
               misuse.message);
  // A link is looked at as a whole.
  bool right = misuse.pointer == user + offset || (misuse.pointer == user && offset < sizeof(void *));
  ORACLE_CHECK(misuse, found == 0 || right, "a write after free was found in another place");
  if (stays) {
    damaged_byte = user + offset;
    model->damaged = true;
    return;
  }
  user[offset] = (char)(user[offset] ^ delta);
  ORACLE_CHECK(check_heap, heap->check_heap(&misuse) == 0, "after the byte was put back: %s", misuse.message);
}

// The direct variant looks at no header, no size and no state: only at what is in no slab of a class.
static bool is_promised(const struct model *model, unsigned slot, unsigned kind) {
  const struct model_block *block = &model->slots[slot];
  if (model->heap->checks_level == 2 || kind == OP_MISUSE_FREE_FOREIGN) return true;
  if (kind == OP_MISUSE_DOUBLE_FREE) return !model->heap->in_class_slab(model->freed[slot]);
  bool is_large = block->user != NULL && block->place.size_class == 0;
  return is_large && (kind == OP_MISUSE_FREE_MISALIGNED || kind == OP_MISUSE_FREE_INTERIOR);
}

void misuse_operation(struct execution *execution, const struct op *op, const struct op_arguments *arguments) {
  struct model *model = &execution->models[0];
  const struct model_block *block = &model->slots[op->slot];
  unsigned kind = arguments->misuse, pointer_kind = arguments->pointer;
  bool is_box = model->heap->checks_level == 2;
  oracle_note_operation(execution->number, model->heap->name, op_misuse_name(kind));
  if (pointer_kind <= OP_MISUSE_FREE_FOREIGN) {
    struct bad_pointer bad = find_pointer(model, pointer_kind, op->slot, arguments->delta);
    if (bad.user == NULL || !is_promised(model, op->slot, pointer_kind)) return;
    if (kind == OP_MISUSE_REALLOC) {
      realloc_wrongly(execution, &bad);
    } else if (kind == OP_MISUSE_USABLE_SIZE) {
      ask_wrongly(execution, &bad);
    } else {
      free_wrongly(execution, &bad);
    }
    return;
  }
  if (!is_box) return;
  struct bad_pointer bad;
  switch (kind) {
    case OP_MISUSE_UNDERFLOW:
      bad = underflown_block(model, op->slot, arguments->delta);
      if (bad.user != NULL) free_wrongly(execution, &bad);
      break;
    case OP_MISUSE_OVERFLOW:
      bad = overflown_block(model, op->slot, arguments->delta);
      if (bad.user != NULL) free_wrongly(execution, &bad);
      break;
    case OP_MISUSE_WRITE_AFTER_FREE:
      write_after_free(execution, op->slot, arguments->delta, op->flags / 2, op->flags % 2 != 0);
      break;
    case OP_MISUSE_WRONG_SIZE:
      if (block->user == NULL || arguments->delta == 0) return;
      free_with_size(execution, op->slot, 0, block->size + (size_t)(ptrdiff_t)arguments->delta,
                     KINDS(HAK_MISUSE_SIZE_MISMATCH));
      break;
    case OP_MISUSE_WRONG_ALIGNMENT:
      if (block->user == NULL) return;
      free_with_size(execution, op->slot, block->alignment > 16 ? block->alignment * 2 : 32, block->size,
                     KINDS(HAK_MISUSE_ALIGNMENT_MISMATCH));
      break;
  }
}
