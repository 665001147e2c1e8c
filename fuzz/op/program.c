// SPDX-License-Identifier: Apache-2.0
//
// An input taken apart. Layer: op, above op.h; allocates nothing, has no state of its own. Test: mutate_test.cc.

#include "fuzz/op/program.h"

#include <string.h>

void program_read(struct program *program, const uint8_t *data, size_t size, size_t max_size) {
  memset(program->header, 0, sizeof program->header);
  if (size > 0) memcpy(program->header, data, size < OP_HEADER_BYTES ? size : OP_HEADER_BYTES);
  program->max = op_count(max_size);
  program->count = op_count(size);
  if (program->count > program->max) program->count = program->max;
  for (size_t i = 0; i < program->count; i++) program->ops[i] = op_read(data, i);
}

size_t program_write(const struct program *program, uint8_t *data) {
  memcpy(data, program->header, OP_HEADER_BYTES);
  for (size_t i = 0; i < program->count; i++) op_write(&program->ops[i], data + OP_HEADER_BYTES + i * OP_BYTES);
  return OP_HEADER_BYTES + program->count * OP_BYTES;
}

bool program_insert(struct program *program, size_t position, const struct op *ops, size_t count) {
  size_t room = program->max - program->count;
  if (count > room) count = room;
  if (count == 0) return false;
  struct op *place = &program->ops[position];
  memmove(place + count, place, (program->count - position) * sizeof *place);
  memcpy(place, ops, count * sizeof *place);
  program->count += count;
  return true;
}

void program_remove(struct program *program, size_t position, size_t count) {
  struct op *place = &program->ops[position];
  memmove(place, place + count, (program->count - position - count) * sizeof *place);
  program->count -= count;
}

void program_move(struct program *program, size_t from, size_t to) {
  struct op op = program->ops[from];
  program_remove(program, from, 1);
  if (to > from) to--;
  program_insert(program, to, &op, 1);
}

bool op_kind_allocates(unsigned kind) { return kind <= OP_PAGE_ALLOC; }
bool op_kind_frees(unsigned kind) { return kind == OP_FREE || kind == OP_FREE_SIZED; }

// What each kind does to its slot.
enum effect { EFFECT_NONE, EFFECT_ALLOCATE, EFFECT_FREE, EFFECT_REALLOC, EFFECT_FREE_RANGE };

static const uint8_t effects[OP_KINDS] = {
    [OP_MALLOC] = EFFECT_ALLOCATE,       [OP_CALLOC] = EFFECT_ALLOCATE,        [OP_REALLOC] = EFFECT_REALLOC,
    [OP_REALLOCARRAY] = EFFECT_ALLOCATE, [OP_ALIGNED_ALLOC] = EFFECT_ALLOCATE, [OP_POSIX_MEMALIGN] = EFFECT_ALLOCATE,
    [OP_MEMALIGN] = EFFECT_ALLOCATE,     [OP_PAGE_ALLOC] = EFFECT_ALLOCATE,    [OP_FREE] = EFFECT_FREE,
    [OP_FREE_SIZED] = EFFECT_FREE,       [OP_FREE_RANGE] = EFFECT_FREE_RANGE,
};

// Without a branch, so that the compiler makes vectors of it.
static inline void free_slot(uint8_t *state) { *state = *state == SLOT_LIVE ? SLOT_FREED : *state; }

static void free_range(struct program_slots *slots, size_t slot, size_t count) {
  size_t wrapped = slot + count > OP_SLOTS ? slot + count - OP_SLOTS : 0;
  for (size_t i = slot; i < slot + count - wrapped; i++) free_slot(&slots->state[i]);
  for (size_t i = 0; i < wrapped; i++) free_slot(&slots->state[i]);
}

static inline void follow(struct program_slots *slots, const struct op *op, uint8_t slot) {
  uint8_t *state = &slots->state[slot];
  switch (effects[op->kind]) {
    case EFFECT_ALLOCATE:
      *state = SLOT_LIVE;
      break;
    case EFFECT_FREE:
      free_slot(state);
      break;
    case EFFECT_REALLOC:
      // Of size 0 it frees what is live, and allocates otherwise.
      *state = op->flags == 7 && *state == SLOT_LIVE ? SLOT_FREED : SLOT_LIVE;
      break;
    case EFFECT_FREE_RANGE:
      free_range(slots, slot, op->selector);
      break;
    default:
      break;
  }
}

// Most of the mutator's time is spent here, so not every repetition is followed; what it is for need not be exact.
#define FOLLOWED_ROUNDS 16
#define FOLLOWED_REPETITIONS 256

// What the repeat at position does. Returns how many operations were followed.
static size_t follow_repeat(const struct program *program, size_t position, struct program_slots *slots) {
  const struct op *repeat = &program->ops[position];
  size_t length = repeat->slot % 16u + 1, first = position < length ? 0 : position - length, followed = 0;
  const struct op *before = &program->ops[position - 1];
  if (length == 1 && repeat->flags == 0 && effects[before->kind] == EFFECT_ALLOCATE) {
    for (size_t i = 1; i <= repeat->selector; i++) slots->state[(uint8_t)(before->slot + i)] = SLOT_LIVE;
    return 1;
  }
  for (unsigned round = 1; round <= repeat->selector && round <= FOLLOWED_ROUNDS; round++) {
    for (size_t k = first; k < position; k++, followed++) {
      const struct op *repeated = &program->ops[k];
      follow(slots, repeated, (uint8_t)(repeated->slot + round * (repeat->flags + 1u)));
    }
  }
  return followed;
}

void program_find_slots(const struct program *program, size_t position, struct program_slots *slots) {
  memset(slots, 0, sizeof *slots);
  size_t followed = 0;
  for (size_t i = 0; i < position; i++) {
    const struct op *op = &program->ops[i];
    if (op->kind != OP_REPEAT) {
      follow(slots, op, op->slot);
    } else if (i > 0 && followed < FOLLOWED_REPETITIONS) {
      followed += follow_repeat(program, i, slots);
    }
  }
  for (size_t slot = 0; slot < OP_SLOTS; slot++) {
    if (slots->state[slot] == SLOT_LIVE) slots->live[slots->live_count++] = (uint8_t)slot;
    if (slots->state[slot] == SLOT_FREED) slots->freed[slots->freed_count++] = (uint8_t)slot;
  }
}

// ---- Random numbers: splitmix64

void random_begin(struct random *random, uint64_t seed) { random->state = seed; }

uint64_t random_next(struct random *random) {
  uint64_t z = random->state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

size_t random_below(struct random *random, size_t below) {
  return below == 0 ? 0 : (size_t)(random_next(random) % below);
}

bool random_percent(struct random *random, unsigned percent) { return random_below(random, 100) < percent; }

size_t random_weighted(struct random *random, const uint8_t *weights, size_t count) {
  size_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += weights[i];
  size_t left = random_below(random, sum);
  for (size_t i = 0; i < count; i++) {
    if (left < weights[i]) return i;
    left -= weights[i];
  }
  return 0;
}
