// SPDX-License-Identifier: Apache-2.0
//
// New operations for a program. Layer: op, above op.h and program.h; allocates nothing, has no state. Test: mutate_test.cc.

#include "fuzz/op/random_op.h"

#include "allocator/base/size_class_table.h"

// How often each kind is made.
static const uint8_t kind_weights[OP_KINDS] = {
    [OP_MALLOC] = 20,        [OP_CALLOC] = 7,      [OP_REALLOC] = 12,   [OP_REALLOCARRAY] = 2, [OP_ALIGNED_ALLOC] = 3,
    [OP_POSIX_MEMALIGN] = 2, [OP_MEMALIGN] = 2,    [OP_PAGE_ALLOC] = 2, [OP_FREE] = 18,        [OP_FREE_SIZED] = 6,
    [OP_FREE_RANGE] = 3,     [OP_USABLE_SIZE] = 1, [OP_WRITE] = 2,      [OP_VERIFY] = 1,       [OP_TRIM] = 3,
    [OP_STATISTICS] = 2,     [OP_CHECK_HEAP] = 1,  [OP_CLOCK] = 2,      [OP_FAULT] = 2,        [OP_PURGE_MODE] = 1,
    [OP_THREAD_SWITCH] = 5,  [OP_THREAD_EXIT] = 1, [OP_MISUSE] = 4,     [OP_REPEAT] = 5,
};

size_t random_small(struct random *random, size_t most) {
  size_t value = 0;
  while (value < most && random_percent(random, 60)) value++;
  return value;
}

uint8_t random_live_slot(struct random *random, const struct program_slots *slots) {
  if (slots->live_count == 0 || random_percent(random, 3)) return (uint8_t)random_next(random);
  // The latest and the earliest allocations are the interesting ones in lists; which they are is not known, so any.
  return slots->live[random_below(random, slots->live_count)];
}

static uint8_t random_freed_slot(struct random *random, const struct program_slots *slots) {
  if (slots->freed_count == 0) return random_live_slot(random, slots);
  return slots->freed[random_below(random, slots->freed_count)];
}

uint8_t random_free_slot(struct random *random, const struct program_slots *slots) {
  if (slots->freed_count > 0 && random_percent(random, 50)) return random_freed_slot(random, slots);
  // From a random place on, or from the beginning: short programs are easier to read with low numbers.
  uint8_t slot = random_percent(random, 70) ? 0 : (uint8_t)random_next(random);
  for (size_t i = 0; i < OP_SLOTS; i++, slot++) {
    if (slots->state[slot] != SLOT_LIVE) return slot;
  }
  return slot;
}

unsigned random_allocation(struct random *random) {
  return (unsigned)random_weighted(random, kind_weights, OP_PAGE_ALLOC + 1);
}

int8_t random_delta(struct random *random) {
  size_t choice = random_below(random, 100);
  if (choice < 60) return 0;
  if (choice < 90) return (int8_t)((int)random_below(random, 5) - 2);
  return (int8_t)random_next(random);
}

static bool has_alignment(unsigned kind) {
  return kind == OP_ALIGNED_ALLOC || kind == OP_POSIX_MEMALIGN || kind == OP_MEMALIGN;
}

static int8_t random_alignment(struct random *random) {
  size_t choice = random_below(random, 100);
  size_t code = choice < 75   ? 4 + random_below(random, 10)  // up to 8 KiB, the largest aligned class
                : choice < 90 ? 14 + random_below(random, 9)
                              : random_below(random, 32);
  size_t size_delta = random_percent(random, 60) ? 0 : random_below(random, 8);
  return (int8_t)(code | size_delta << 5);
}

void random_size(struct random *random, const struct program *program, struct op *op) {
  size_t choice = random_below(random, 100);
  op->delta = has_alignment(op->kind) ? random_alignment(random) : random_delta(random);
  if (choice < 40 && program->count > 0) {
    // As another allocation of the program, if the first one that is looked at is one.
    const struct op *like = &program->ops[random_below(random, program->count)];
    if (op_kind_allocates(like->kind)) {
      op->selector = like->selector;
      return;
    }
  }
  if (choice < 67) {
    op->selector = (uint8_t)random_below(random, 20);  // the smallest classes
  } else if (choice < 70) {
    op->selector = (uint8_t)(UINT8_MAX - random_below(random, 12));  // what nobody can have
  } else if (choice < 85) {
    op->selector = (uint8_t)random_next(random);
  } else {
    size_t size = (size_t)1 << (12 + random_below(random, 12));
    op->selector = op_selector_of(size + random_below(random, size));
  }
}

// X(index, stride, run_slabs, blocks, ...): the class that serves a size, as far as the count of blocks goes.
#define CLASS_LIMITS(index, stride, run_slabs, blocks, ...) {(stride), (blocks)},

static const struct {
  uint32_t stride, blocks;
} classes[] = {HAK_CLASS_TABLE(CLASS_LIMITS)};

unsigned random_burst(struct random *random, const struct op *allocation) {
  static const uint32_t chain_kib[] = {64, 16, 4, 2, 1};
  size_t size = op_size(allocation->selector, has_alignment(allocation->kind) ? 0 : allocation->delta);
  size_t index = 0;
  while (index < HAK_CLASS_SMALL_LAST - 1 && classes[index].stride <= size) index++;
  size_t count;
  switch (random_below(random, 5)) {
    case 0:
      count = classes[index].blocks;
      break;
    case 1:
      count = (chain_kib[random_below(random, 5)] << 10) / classes[index].stride * (1 + random_below(random, 2));
      break;
    case 2:
      // A slab of the small geometry.
      count = 4096 / classes[index].stride;
      break;
    case 3:
      count = 31 + random_below(random, 3) * 32;
      break;
    default:
      count = 1 + random_below(random, 40);
      break;
  }
  count += random_below(random, 3);
  if (count > 0) count--;
  return count < 1 ? 1 : count > 255 ? 255 : (unsigned)count;
}

static struct op random_misuse(struct random *random, const struct program_slots *slots) {
  struct op op = {.kind = OP_MISUSE, .selector = (uint8_t)random_below(random, OP_MISUSE_KINDS)};
  bool freed = op.selector == OP_MISUSE_DOUBLE_FREE || op.selector == OP_MISUSE_WRITE_AFTER_FREE;
  op.slot = freed ? random_freed_slot(random, slots) : random_live_slot(random, slots);
  op.delta = random_percent(random, 50) ? (int8_t)random_below(random, 17) : (int8_t)random_next(random);
  // Where a free block is damaged, and whether it stays so.
  op.flags = (uint8_t)random_below(random, 8);
  return op;
}

static struct op random_repeat(struct random *random) {
  return (struct op){
      .kind = OP_REPEAT,
      .flags = random_percent(random, 70) ? 0 : (uint8_t)random_below(random, 8),
      .slot = (uint8_t)random_small(random, 15),
      .selector = (uint8_t)(random_percent(random, 80) ? 1 + random_below(random, 20) : random_below(random, 256)),
  };
}

struct op random_op_of(struct random *random, const struct program *program, const struct program_slots *slots,
                       unsigned kind) {
  struct op op = {.kind = (uint8_t)kind};
  if (kind == OP_MISUSE) return random_misuse(random, slots);
  if (kind == OP_REPEAT) return random_repeat(random);
  if (kind == OP_REALLOC || kind == OP_REALLOCARRAY) {
    op.slot = random_percent(random, 85) ? random_live_slot(random, slots) : random_free_slot(random, slots);
  } else if (op_kind_allocates(kind)) {
    op.slot = random_percent(random, 80) ? random_free_slot(random, slots) : random_live_slot(random, slots);
  } else {
    op.slot = random_live_slot(random, slots);
  }
  if (op_kind_allocates(kind) || kind == OP_TRIM) random_size(random, program, &op);
  switch (kind) {
    case OP_FREE_RANGE:
      op.flags = (uint8_t)random_below(random, 2);
      op.selector = (uint8_t)(random_percent(random, 70) ? 1 + random_below(random, 16) : random_below(random, 256));
      break;
    case OP_CLOCK:
      // 100 ms, the delay of purges, and what is near that.
      op.selector = (uint8_t)(random_percent(random, 50) ? 24 + random_below(random, 4) : random_below(random, 256));
      break;
    case OP_FAULT:
      op.slot = (uint8_t)(random_percent(random, 80) ? random_small(random, 14) : 15);
      op.selector = (uint8_t)random_small(random, 255);
      op.flags = (uint8_t)random_below(random, 8);
      break;
    case OP_CALLOC:
    case OP_REALLOCARRAY:
    case OP_REALLOC:
    case OP_PAGE_ALLOC:
    case OP_TRIM:
    case OP_PURGE_MODE:
      op.flags = (uint8_t)random_below(random, 8);
      break;
    case OP_THREAD_SWITCH:
    case OP_THREAD_EXIT:
      // For real threads: where the operation before stops on its way, and for how long; and whether a thread lingers.
      op.flags = (uint8_t)random_below(random, 8);
      op.slot = (uint8_t)random_next(random);
      op.selector = (uint8_t)(random_percent(random, 80) ? random_small(random, 63) : random_below(random, 256));
      op.delta = (int8_t)(random_percent(random, 50) ? 0 : random_small(random, 127));
      break;
    default:
      break;
  }
  return op;
}

struct op random_op(struct random *random, const struct program *program, const struct program_slots *slots) {
  unsigned kind = (unsigned)random_weighted(random, kind_weights, OP_KINDS);
  // Without a live block, what needs one becomes an allocation.
  bool needs_live = op_kind_frees(kind) || kind == OP_FREE_RANGE || kind == OP_WRITE || kind == OP_USABLE_SIZE;
  if (needs_live && slots->live_count == 0) kind = random_allocation(random);
  return random_op_of(random, program, slots, kind);
}
