// SPDX-License-Identifier: Apache-2.0
//
// The changes that are made to inputs, by whole operations. Layer: op, above op.h, program.h and random_op.h; allocates
// nothing, has no state. Test: mutate_test.cc.

#include "fuzz/op/mutate.h"

#include <string.h>

#include "fuzz/op/program.h"
#include "fuzz/op/random_op.h"
#include "fuzz/op/random_scenario.h"

// What a change works on. A change returns false if it does not apply to the program; then another one is tried.
struct change {
  struct program *program;
  const uint8_t *other;
  size_t other_size;
  struct random random;
};

#define RUN_MAX 64
// An input is changed 1, 2, 4, ... times, at most 1 << 6. With few changes at a time an engine keeps the short programs that
// it began with: what takes several operations together, and covers nothing new before, is then hardly ever made.
#define CHANGES_SHIFT_MAX 6

static size_t random_position(struct change *change) { return random_below(&change->random, change->program->count); }
// Also behind the last operation, which is where new ones can do most.
static size_t random_gap(struct change *change) {
  size_t count = change->program->count;
  return random_percent(&change->random, 25) ? count : random_below(&change->random, count + 1);
}

// The length of a run from position on, mostly short.
static size_t random_run(struct change *change, size_t position) {
  size_t most = change->program->count - position;
  if (most > RUN_MAX) most = RUN_MAX;
  size_t length = 1 + random_small(&change->random, RUN_MAX);
  if (random_percent(&change->random, 15)) length = 1 + random_below(&change->random, RUN_MAX);
  return length < most ? length : most;
}

// The place of a random operation of a certain sort; false if the program has none.
static bool find_position(struct change *change, bool (*is_sort)(unsigned kind), size_t *position) {
  size_t count = change->program->count, start = random_position(change);
  for (size_t i = 0; i < count; i++) {
    *position = (start + i) % count;
    if (is_sort(change->program->ops[*position].kind)) return true;
  }
  return false;
}

static bool insert_new(struct change *change) {
  struct program *program = change->program;
  struct program_slots slots;
  size_t position = random_gap(change);
  program_find_slots(program, position, &slots);
  struct op op = random_op(&change->random, program, &slots);
  return program_insert(program, position, &op, 1);
}

static bool delete_run(struct change *change) {
  if (change->program->count == 0) return false;
  size_t position = random_position(change);
  program_remove(change->program, position, random_run(change, position));
  return true;
}

static bool replace(struct change *change) {
  struct program *program = change->program;
  if (program->count == 0) return false;
  struct program_slots slots;
  size_t position = random_position(change);
  program_find_slots(program, position, &slots);
  program->ops[position] = random_op(&change->random, program, &slots);
  return true;
}

static uint8_t step(struct random *random, uint8_t value) {
  return (uint8_t)(random_percent(random, 50) ? value + 1 : value - 1);
}

// A kind that does something similar with the same fields.
static unsigned similar_kind(struct random *random, unsigned kind) {
  if (op_kind_allocates(kind)) return random_allocation(random);
  if (op_kind_frees(kind)) return kind == OP_FREE ? OP_FREE_SIZED : OP_FREE;
  return (unsigned)random_below(random, OP_KINDS);
}

// Another boundary: the next ones in the table, or those of about half and twice the size.
static uint8_t other_selector(struct random *random, uint8_t selector) {
  size_t size = op_size(selector, 0);
  switch (random_below(random, 4)) {
    case 0:
      return op_selector_of(size / 2);
    case 1:
      return op_selector_of(size > SIZE_MAX / 2 ? SIZE_MAX : size * 2);
    case 2:
      return (uint8_t)random_next(random);
    default:
      return step(random, selector);
  }
}

static bool tweak(struct change *change) {
  struct program *program = change->program;
  struct random *random = &change->random;
  if (program->count == 0) return false;
  size_t position = random_position(change);
  struct op *op = &program->ops[position];
  switch (random_below(random, 8)) {
    case 0:
      op->kind = (uint8_t)similar_kind(random, op->kind);
      break;
    case 1:
      op->flags = (uint8_t)random_below(random, 8);
      break;
    case 2:
      op->slot = step(random, op->slot);
      break;
    case 3: {
      struct program_slots slots;
      program_find_slots(program, position, &slots);
      op->slot = random_live_slot(random, &slots);
      break;
    }
    case 4:
      op->selector = other_selector(random, op->selector);
      break;
    case 5:
      op->selector = step(random, op->selector);
      break;
    case 6:
      op->delta = random_delta(random);
      break;
    default:
      op->delta = (int8_t)step(random, (uint8_t)op->delta);
      break;
  }
  return true;
}

static bool duplicate_run(struct change *change) {
  struct program *program = change->program;
  if (program->count == 0) return false;
  struct op run[RUN_MAX];
  size_t position = random_position(change), length = random_run(change, position);
  memcpy(run, &program->ops[position], length * sizeof run[0]);
  if (length <= 16 && random_percent(&change->random, 30)) {
    struct op repeat = {.kind = OP_REPEAT, .slot = (uint8_t)(length - 1)};
    repeat.selector = (uint8_t)(1 + random_below(&change->random, 20));
    return program_insert(program, position + length, &repeat, 1);
  }
  uint8_t shift = random_percent(&change->random, 50) ? (uint8_t)random_below(&change->random, 8) : 0;
  size_t times = 1 + random_small(&change->random, 7);
  bool inserted = false;
  for (size_t i = 0; i < times; i++) {
    for (size_t k = 0; k < length; k++) run[k].slot = (uint8_t)(run[k].slot + shift);
    inserted |= program_insert(program, position + length, run, length);
  }
  return inserted;
}

static bool swap(struct change *change) {
  struct program *program = change->program;
  if (program->count < 2) return false;
  size_t first = random_position(change);
  size_t second = random_percent(&change->random, 50) ? (first + 1) % program->count : random_position(change);
  struct op op = program->ops[first];
  program->ops[first] = program->ops[second];
  program->ops[second] = op;
  return first != second;
}

static bool move_free(struct change *change) {
  size_t from;
  if (change->program->count < 2 || !find_position(change, op_kind_frees, &from)) return false;
  size_t to = random_gap(change);
  program_move(change->program, from, to);
  return to != from && to != from + 1;
}

// A run of the other input, or one from elsewhere in this one.
static bool splice(struct change *change) {
  struct program *program = change->program;
  struct random *random = &change->random;
  struct op run[RUN_MAX];
  size_t length, others = op_count(change->other_size);
  if (others > 0) {
    size_t from = random_below(random, others);
    length = 1 + random_below(random, others - from < RUN_MAX ? others - from : RUN_MAX);
    for (size_t i = 0; i < length; i++) run[i] = op_read(change->other, from + i);
  } else {
    if (program->count == 0) return false;
    size_t from = random_position(change);
    length = random_run(change, from);
    memcpy(run, &program->ops[from], length * sizeof run[0]);
  }
  size_t position = random_gap(change);
  if (random_percent(random, 30)) {
    // In the place of what is there.
    size_t replaced = program->count - position < length ? program->count - position : length;
    program_remove(program, position, replaced);
  }
  return program_insert(program, position, run, length);
}

// Gives an allocation what it lacks: a free of what is live at the end, or a realloc and a free soon after it.
static bool repair_pair(struct change *change) {
  struct program *program = change->program;
  struct random *random = &change->random;
  if (random_percent(random, 50)) {
    struct program_slots slots;
    program_find_slots(program, program->count, &slots);
    if (slots.live_count == 0) return false;
    struct op op = {.kind = random_percent(random, 70) ? OP_FREE : OP_FREE_SIZED};
    op.slot = slots.live[random_below(random, slots.live_count)];
    return program_insert(program, program->count, &op, 1);
  }
  size_t position;
  if (program->count == 0 || !find_position(change, op_kind_allocates, &position)) return false;
  uint8_t slot = program->ops[position].slot;
  size_t later = position + 1 + random_below(random, program->count - position);
  struct op pair[2] = {{.kind = OP_REALLOC, .slot = slot}, {.kind = OP_FREE, .slot = slot}};
  random_size(random, program, &pair[0]);
  return random_percent(random, 50) ? program_insert(program, later, pair, 2)
                                    : program_insert(program, later, &pair[1], 1);
}

// Many blocks of one class, and mostly their frees: a slab or a cache is filled and emptied.
static bool burst(struct change *change) {
  struct program *program = change->program;
  struct random *random = &change->random;
  struct program_slots slots;
  size_t position = random_gap(change);
  program_find_slots(program, position, &slots);
  struct op ops[4];
  ops[0] = random_op_of(random, program, &slots, random_allocation(random));
  unsigned count = random_burst(random, &ops[0]);
  ops[1] = (struct op){.kind = OP_REPEAT, .selector = (uint8_t)(count - 1)};
  ops[2] = (struct op){.kind = OP_FREE_RANGE, .slot = ops[0].slot, .selector = (uint8_t)count};
  ops[2].flags = (uint8_t)random_below(random, 2);
  ops[3] = random_op(random, program, &slots);
  return program_insert(program, position, ops, 2 + random_below(random, 3));
}

static bool scenario(struct change *change) {
  struct program *program = change->program;
  struct program_slots slots;
  struct op ops[SCENARIO_OPS_MAX];
  size_t position = random_gap(change);
  program_find_slots(program, position, &slots);
  return program_insert(program, position, ops, random_scenario(&change->random, program->header, &slots, ops));
}

static bool fault_before_allocation(struct change *change) {
  struct program *program = change->program;
  size_t position;
  if (program->count == 0 || !find_position(change, op_kind_allocates, &position)) return false;
  struct program_slots slots = {.live_count = 0};
  struct op op = random_op_of(&change->random, program, &slots, OP_FAULT);
  return program_insert(program, position, &op, 1);
}

static bool misuse_live(struct change *change) {
  struct program *program = change->program;
  struct program_slots slots;
  size_t position = random_gap(change);
  program_find_slots(program, position, &slots);
  if (slots.live_count == 0) return false;
  struct op op = random_op_of(&change->random, program, &slots, OP_MISUSE);
  return program_insert(program, position, &op, 1);
}

// Header bytes mean something up to here; above that, the same again.
#define HEADER_CHOICES 32

static bool tweak_header(struct change *change) {
  uint8_t *byte = &change->program->header[random_below(&change->random, OP_HEADER_BYTES)];
  uint8_t before = *byte;
  *byte = random_percent(&change->random, 30) ? 0 : (uint8_t)random_below(&change->random, HEADER_CHOICES);
  if (random_percent(&change->random, 20)) *byte = (uint8_t)random_next(&change->random);
  return *byte != before;
}

static const struct {
  bool (*apply)(struct change *change);
  uint8_t weight;
} changes[] = {
    {insert_new, 22},  {delete_run, 9}, {replace, 8},     {tweak, 22}, {duplicate_run, 6},           {swap, 4},
    {move_free, 6},    {splice, 6},     {repair_pair, 7}, {burst, 7},  {fault_before_allocation, 3}, {misuse_live, 3},
    {tweak_header, 3}, {scenario, 5},
};

#define CHANGES (sizeof(changes) / sizeof(changes[0]))

static void apply_one(struct change *change) {
  uint8_t weights[CHANGES];
  for (size_t i = 0; i < CHANGES; i++) weights[i] = changes[i].weight;
  // A full program refuses insertions, an empty one most others.
  for (int attempt = 0; attempt < 8; attempt++) {
    if (changes[random_weighted(&change->random, weights, CHANGES)].apply(change)) return;
  }
}

size_t op_mutate(uint8_t *data, size_t size, size_t max_size, const uint8_t *other, size_t other_size, uint64_t seed) {
  struct program program;
  struct change change = {.program = &program, .other = other, .other_size = other_size};
  random_begin(&change.random, seed);
  program_read(&program, data, size, max_size);
  size_t times = (size_t)1 << random_below(&change.random, CHANGES_SHIFT_MAX + 1);
  for (size_t i = 0; i < times; i++) apply_one(&change);
  return program_write(&program, data);
}

size_t op_crossover(const uint8_t *first, size_t first_size, const uint8_t *second, size_t second_size, uint8_t *output,
                    size_t max_size, uint64_t seed) {
  struct program program;
  struct random random;
  random_begin(&random, seed);
  program_read(&program, first, first_size, max_size);
  size_t others = op_count(second_size), from = 0, to = others;
  size_t position = random_below(&random, program.count + 1);
  switch (random_below(&random, 3)) {
    case 0:
      // The beginning of the first, then the end of the second.
      program_remove(&program, position, program.count - position);
      from = random_below(&random, others);
      break;
    case 1: {
      // A run of the second within the first.
      from = random_below(&random, others);
      to = from + random_below(&random, others - from + 1);
      break;
    }
    default:
      // One after the other.
      position = program.count;
      break;
  }
  for (size_t i = from; i < to; i++) {
    struct op op = op_read(second, i);
    if (!program_insert(&program, position + (i - from), &op, 1)) break;
  }
  if (second_size >= OP_HEADER_BYTES && random_percent(&random, 20)) memcpy(program.header, second, OP_HEADER_BYTES);
  return program_write(&program, output);
}
