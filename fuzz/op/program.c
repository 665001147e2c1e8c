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

static void free_slot(struct program_slots *slots, uint8_t slot) {
  if (slots->state[slot] == SLOT_LIVE) slots->state[slot] = SLOT_FREED;
}

// Returns how much work that was.
static size_t follow(struct program_slots *slots, const struct op *op, uint8_t slot) {
  if (op->kind == OP_REALLOC && op->flags == 7 && slots->state[slot] == SLOT_LIVE) {
    free_slot(slots, slot);
  } else if (op_kind_allocates(op->kind)) {
    slots->state[slot] = SLOT_LIVE;
  } else if (op_kind_frees(op->kind)) {
    free_slot(slots, slot);
  } else if (op->kind == OP_FREE_RANGE) {
    for (size_t i = 0; i < op->selector; i++) free_slot(slots, (uint8_t)(slot + i));
    return op->selector;
  }
  return 1;
}

void program_find_slots(const struct program *program, size_t position, struct program_slots *slots) {
  memset(slots, 0, sizeof *slots);
  size_t work = 0;
  for (size_t i = 0; i < position && work < OP_EXECUTED_MAX; i++) {
    const struct op *op = &program->ops[i];
    if (op->kind != OP_REPEAT) {
      work += follow(slots, op, op->slot);
      continue;
    }
    size_t length = op->slot % 16u + 1, first = i < length ? 0 : i - length;
    for (unsigned round = 1; round <= op->selector; round++) {
      for (size_t k = first; k < i && work < OP_EXECUTED_MAX; k++) {
        const struct op *repeated = &program->ops[k];
        work += follow(slots, repeated, (uint8_t)(repeated->slot + round * (op->flags + 1u)));
      }
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
