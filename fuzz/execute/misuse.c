// SPDX-License-Identifier: Apache-2.0
//
// Misuse, and what must come of it. Layer: execute. Not instrumented. Test: fuzz/execute/misuse_test.cc, and seeded bugs 50,
// 74, 80 to 90, 117 and 118.

#include "fuzz/execute/misuse.h"

#include <errno.h>
#include <string.h>

#include "fuzz/execute/bad_pointer.h"

#define KINDS BAD_POINTER_KINDS

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

// ---- The calls ------------------------------------------------------------------------------------------------------

// The name that a report has for it: the direct variant knows only three ways in.
static const char *name_of_call(const struct heap *heap, enum op_call call) {
  static const char *const names[] = {"free",    "free_sized", "free_aligned_sized", "realloc",
                                      "realloc", "realloc",    "malloc_usable_size", "hak_check_heap"};
  bool frees = call <= OP_CALL_FREE_ALIGNED_SIZED || call == OP_CALL_REALLOC_TO_NOTHING;
  return heap->checks_level == 2 || !frees ? names[call] : "free";
}

// In one step; so that what it answers can be looked at, and errno.
static void make_call(const struct heap *heap, enum op_call call, void *user, size_t alignment, size_t size) {
  void *moved = NULL;
  size_t usable = 0;
  bool refuses = call == OP_CALL_REALLOC || call == OP_CALL_REALLOCARRAY;
  errno = 0;
  switch (call) {
    case OP_CALL_FREE_SIZED:
      heap->free_sized(user, size);
      break;
    case OP_CALL_FREE_ALIGNED_SIZED:
      heap->free_aligned_sized(user, alignment, size);
      break;
    case OP_CALL_REALLOC:
      moved = heap->realloc(user, size);
      break;
    case OP_CALL_REALLOC_TO_NOTHING:
      moved = heap->realloc(user, 0);
      break;
    case OP_CALL_REALLOCARRAY:
      moved = heap->reallocarray(user, 2, size);
      break;
    case OP_CALL_USABLE_SIZE:
      usable = heap->usable_size(user);
      break;
    case OP_CALL_CHECK_HEAP:
      if (heap->check_heap(&reports.last) != 0) reports.count++;
      break;
    default:
      heap->free(user);
      break;
  }
  int error = errno;
  ORACLE_CHECK(misuse, moved == NULL, "realloc of a bad pointer gave a block");
  ORACLE_CHECK(misuse, usable == 0, "malloc_usable_size of a bad pointer is %zu", usable);
  ORACLE_CHECK(misuse, (error != 0) == refuses, "errno is %d after misuse", error);
}

static void check_report(const struct model *model, enum op_call call, const struct bad_pointer *bad) {
  const struct hak_misuse *report = &reports.last;
  const char *function = name_of_call(model->heap, call);
  bool is_of_free_block = report->kind == HAK_MISUSE_DOUBLE_FREE || report->kind == HAK_MISUSE_USE_AFTER_FREE;
  ORACLE_CHECK(misuse, (1u << report->kind & bad->kinds) != 0, "reported as \"%s\"", report->message);
  ORACLE_CHECK(misuse,
               !is_of_free_block || (report->kind == HAK_MISUSE_USE_AFTER_FREE) == (call == OP_CALL_USABLE_SIZE),
               "reported as \"%s\"", report->message);
  ORACLE_CHECK(misuse, strcmp(report->function, function) == 0, "%s is reported as %s", function, report->function);
  // The heap as a whole is read upwards: what is in front of the block is behind another one.
  if (call == OP_CALL_CHECK_HEAP && report->pointer != bad->user && report->kind == HAK_MISUSE_NEXT_OVERWRITTEN) return;
  ORACLE_CHECK(misuse, report->pointer == bad->user, "%p is reported as %p", (void *)bad->user, report->pointer);
  if (model->heap->checks_level != 2) return;
  ORACLE_CHECK(misuse, report->given_size == bad->given && report->expected_size == bad->expected,
               "%zu instead of %zu was given, and %zu instead of %zu is reported", bad->given, bad->expected,
               report->given_size, report->expected_size);
  if (is_of_free_block) {
    ORACLE_CHECK(misuse, report->block == bad->user && report->offset == 0, "a free block is reported as another one");
    ORACLE_CHECK(misuse, report->state != HAK_BLOCK_LIVE, "a free block is reported as live");
  }
  const struct model_block *block = bad->block;
  if (block == NULL) return;
  ORACLE_CHECK(misuse, report->block == block->user, "a report names block %p instead of %p", report->block,
               (void *)block->user);
  ORACLE_CHECK(misuse, report->offset == bad->offset, "a report says offset %td instead of %td", report->offset,
               bad->offset);
  ORACLE_CHECK(misuse, report->state == HAK_BLOCK_LIVE, "a live block is reported in state %d", report->state);
  ORACLE_CHECK(misuse, report->requested_size == block->size && report->usable_size == block->place.usable,
               "a block of %zu bytes, %zu usable, is reported with %zu and %zu", block->size, block->place.usable,
               report->requested_size, report->usable_size);
  ORACLE_CHECK(misuse, report->size_class == block->place.size_class, "size class %u is reported as %u",
               block->place.size_class, report->size_class);
}

static void call_wrongly(struct execution *execution, enum op_call call, const struct bad_pointer *bad,
                         size_t alignment, size_t size) {
  const struct model *model = &execution->models[0];
  uint8_t was = 0;
  uint64_t digest = 0;
  misuse_expect_none(execution, NULL);
  if (bad->byte != NULL) {
    was = *bad->byte;
    *bad->byte = bad->value;
  }
  if (oracle_is_on(ORACLE_unchanged)) digest = model->heap->digest();
  make_call(model->heap, call, bad->user, alignment, size);
  if (oracle_is_on(ORACLE_unchanged)) {
    ORACLE_CHECK(unchanged, model->heap->digest() == digest, "a call that was reported changed the heap");
  }
  if (bad->byte != NULL) *bad->byte = was;
  ORACLE_CHECK(misuse, reports.count == 1, "%u reports of one misuse", reports.count);
  if (reports.count == 1 && oracle_is_on(ORACLE_misuse)) check_report(model, call, bad);
  reports.count = 0;
}

static void give_pointer(struct execution *execution, unsigned misuse, enum op_call call, unsigned slot, int delta) {
  struct bad_pointer bad = bad_pointer_find(&execution->models[0], misuse, slot, delta);
  if (bad.user != NULL) call_wrongly(execution, call, &bad, 32, 32);
}

static void give_damaged_block(struct execution *execution, unsigned misuse, enum op_call call, unsigned slot,
                               int delta) {
  struct bad_pointer bad = bad_pointer_damage(&execution->models[0], misuse, slot, delta);
  if (call == OP_CALL_CHECK_HEAP && execution->models[0].damaged) call = OP_CALL_FREE;
  if (call == OP_CALL_CHECK_HEAP && misuse == OP_MISUSE_UNDERFLOW) bad.kinds |= KINDS(HAK_MISUSE_NEXT_OVERWRITTEN);
  if (bad.user != NULL) call_wrongly(execution, call, &bad, 32, 32);
}

// As free_aligned_sized compares it: no alignment is what every block has.
static size_t alignment_beyond(const struct model_block *block) { return block->alignment > 16 ? block->alignment : 0; }

static void give_wrong_size(struct execution *execution, enum op_call call, unsigned slot, int delta) {
  const struct model_block *block = &execution->models[0].slots[slot];
  if (block->user == NULL || delta == 0) return;
  size_t size = block->size + (size_t)(ptrdiff_t)delta, alignment = alignment_beyond(block);
  struct bad_pointer bad = {.user = block->user,
                            .kinds = KINDS(HAK_MISUSE_SIZE_MISMATCH),
                            .block = block,
                            // The greatest size is the Box's own word for none.
                            .given = size - (size == SIZE_MAX),
                            .expected = block->size};
  call_wrongly(execution, call, &bad, alignment == 0 ? 16 : alignment, size);
}

static void give_wrong_alignment(struct execution *execution, unsigned slot) {
  const struct model_block *block = &execution->models[0].slots[slot];
  if (block->user == NULL) return;
  size_t expected = alignment_beyond(block);
  struct bad_pointer bad = {.user = block->user,
                            .kinds = KINDS(HAK_MISUSE_ALIGNMENT_MISMATCH),
                            .block = block,
                            .given = expected == 0 ? 32 : expected * 2,
                            .expected = expected};
  call_wrongly(execution, OP_CALL_FREE_ALIGNED_SIZED, &bad, bad.given, block->size);
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

void misuse_operation(struct execution *execution, const struct op *op, const struct op_arguments *arguments) {
  const struct heap *heap = execution->models[0].heap;
  enum op_call call = (enum op_call)arguments->call;
  int delta = arguments->delta;
  oracle_note_operation(execution->number, heap->name, op_misuse_name(arguments->misuse));
  if (arguments->pointer <= OP_MISUSE_FREE_FOREIGN) {
    give_pointer(execution, arguments->pointer, call, op->slot, delta);
    return;
  }
  // All others the direct variant does not promise to notice.
  if (heap->checks_level != 2) return;
  switch (arguments->misuse) {
    case OP_MISUSE_UNDERFLOW:
    case OP_MISUSE_OVERFLOW:
      give_damaged_block(execution, arguments->misuse, call, op->slot, delta);
      break;
    case OP_MISUSE_WRITE_AFTER_FREE:
      write_after_free(execution, op->slot, delta, op->flags / 2, op->flags % 2 != 0);
      break;
    case OP_MISUSE_WRONG_SIZE:
      give_wrong_size(execution, call, op->slot, delta);
      break;
    case OP_MISUSE_WRONG_ALIGNMENT:
      give_wrong_alignment(execution, op->slot);
      break;
  }
}
