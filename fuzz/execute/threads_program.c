// SPDX-License-Identifier: Apache-2.0
//
// From an input to what each thread does, and where it is stopped. Layer: execute. Not instrumented.

#include <string.h>

#include "fuzz/execute/threads.h"
#include "fuzz/op/op_target.h"

struct reader {
  struct threads_program *program;
  uint16_t last_of_thread[OP_THREADS];
  uint16_t last_of_slot[OP_SLOTS];
  uint16_t need;
  unsigned thread;  // that was named last
  bool forked;
  uint64_t random;
};

static uint32_t random_below(struct reader *reader, uint32_t limit) {
  reader->random ^= reader->random << 13;
  reader->random ^= reader->random >> 7;
  reader->random ^= reader->random << 17;
  return (uint32_t)(reader->random >> 24) % limit;
}

static bool has_slot(const struct op *op) { return op->kind <= OP_WRITE && op->kind != OP_FREE_RANGE; }

static struct threads_step *add(struct reader *reader, const struct op *op, enum threads_role role, unsigned thread) {
  struct threads_program *program = reader->program;
  if (program->count == THREADS_STEPS_MAX) return NULL;
  uint16_t number = (uint16_t)program->count++;
  struct threads_step *step = &program->steps[number];
  *step = (struct threads_step){.op = *op, .thread = (uint8_t)thread, .role = (uint8_t)role, .need = reader->need};
  step->next = step->before = THREADS_NO_STEP;
  if (reader->last_of_thread[thread] == THREADS_NO_STEP) {
    program->first[thread] = number;
  } else {
    program->steps[reader->last_of_thread[thread]].next = number;
  }
  reader->last_of_thread[thread] = number;
  if (has_slot(op)) {
    step->before = reader->last_of_slot[op->slot];
    reader->last_of_slot[op->slot] = number;
  }
  return step;
}

// A call makes some dozens of points, mostly; a few make hundreds.
static uint16_t points_of(uint8_t selector) {
  return selector < 192 ? selector % 64 : (uint16_t)(64 + (selector - 192) * 8);
}

// In a repetition a stop comes one access later each time, or one point where it is at a point: all of a call are tried so.
static void read_switch(struct reader *reader, const struct op *op, unsigned round) {
  struct threads_program *program = reader->program;
  reader->thread = op->flags % OP_THREADS;
  if (program->count == 0) return;
  struct threads_step *step = &program->steps[program->count - 1];
  if (step->role == THREADS_RACE) return;
  step->stop_points = points_of(op->selector);
  step->stop_accesses = op->delta > 0 ? (uint16_t)op->delta : 0;
  if (step->stop_accesses != 0) {
    step->stop_accesses += (uint16_t)round;
  } else if (step->stop_points != 0) {
    step->stop_points += (uint16_t)round;
  }
  step->stop_lasts = op->slot < 240 ? op->slot % 16 + 1 : THREADS_FOR_EVER;
}

// All that comes before is finished then, and nothing else begins meanwhile: nobody gets the block in between.
static void read_race(struct reader *reader, const struct op *op, unsigned thread) {
  if (reader->program->count + 2 > THREADS_STEPS_MAX) return;
  unsigned other = (thread + 1 + op->flags % (OP_THREADS - 1)) % OP_THREADS;
  reader->need = (uint16_t)reader->program->count;
  struct threads_step *step = add(reader, op, THREADS_RACE, thread);
  // What matters comes at once.
  step->stop_points = op->selector % 8 + 1;
  step->stop_accesses = op->delta > 0 ? (uint16_t)(op->delta % 16) : 0;
  step->stop_lasts = THREADS_FOR_EVER;
  add(reader, op, THREADS_RACE, other);
  reader->need = (uint16_t)reader->program->count;
}

static void read_operation(struct reader *reader, struct op *op, unsigned round) {
  uint32_t mode = reader->program->setup.schedule_points;
  op_make_narrow(op, reader->program->setup.schedule_seed);
  struct op_arguments arguments = op_resolve(op);
  unsigned thread = (reader->thread + (mode & 4 ? op->slot / 4 : 0)) % OP_THREADS;
  switch (op->kind) {
    case OP_THREAD_SWITCH:
      read_switch(reader, op, round);
      break;
    case OP_THREAD_EXIT:
      if (op->flags < 4) {
        add(reader, op, THREADS_EXIT, arguments.thread);
      } else if ((mode & 8) != 0 && !reader->forked) {
        reader->forked = true;
        add(reader, op, THREADS_FORK, arguments.thread);
      }
      break;
    case OP_MISUSE:
      read_race(reader, op, thread);
      break;
    case OP_FREE_RANGE:
      for (size_t i = 0; i < arguments.count; i++) {
        struct op one = {.kind = OP_FREE, .slot = op_range_slot(op, &arguments, i)};
        add(reader, &one, THREADS_OPERATION, thread);
      }
      break;
    default:
      add(reader, op, THREADS_OPERATION, thread);
      break;
  }
}

static void stop_at(struct reader *reader, size_t number, uint16_t lasts) {
  struct threads_step *step = &reader->program->steps[number];
  if (step->role == THREADS_RACE || step->stop_points != 0) return;
  step->stop_points = (uint16_t)(1 + random_below(reader, 1u << random_below(reader, 7)));
  if (random_below(reader, 2) != 0) {
    step->stop_accesses = (uint16_t)(1 + random_below(reader, 1u << random_below(reader, 6)));
  }
  step->stop_lasts = lasts;
}

static void stop_somewhere(struct reader *reader, uint16_t lasts) {
  stop_at(reader, random_below(reader, (uint32_t)reader->program->count), lasts);
}

// A fork is of interest while others are within a call.
static void stop_before_fork(struct reader *reader) {
  struct threads_program *program = reader->program;
  for (size_t fork = 0; fork < program->count; fork++) {
    if (program->steps[fork].role != THREADS_FORK) continue;
    for (size_t i = fork; i-- > 0 && i + 8 > fork;) {
      bool another = program->steps[i].thread != program->steps[fork].thread;
      if (another && program->steps[i + 1].thread != program->steps[i].thread) stop_at(reader, i, THREADS_FOR_EVER);
    }
  }
}

static void make_schedule(struct reader *reader) {
  struct threads_program *program = reader->program;
  uint32_t points = program->setup.schedule_points % 4;
  program->by_priority = points != 0;
  for (unsigned i = 0; i < OP_THREADS; i++) program->priority[i] = i;
  for (unsigned i = OP_THREADS - 1; i > 0; i--) {
    unsigned j = random_below(reader, i + 1);
    uint32_t swapped = program->priority[i];
    program->priority[i] = program->priority[j];
    program->priority[j] = swapped;
  }
  if (program->count == 0) return;
  if (reader->forked) stop_before_fork(reader);
  // More in long programs, which also have more to do at each.
  if (program->by_priority) {
    points += (uint32_t)program->count / 64;
    for (uint32_t i = 0; i < points; i++) stop_somewhere(reader, THREADS_FOR_EVER);
  } else {
    uint32_t stops = 1 + program->setup.schedule_seed % 8 + (uint32_t)program->count / 16;
    for (uint32_t i = 0; i < stops; i++) stop_somewhere(reader, (uint16_t)(1 + random_below(reader, 16)));
  }
}

void threads_program_read(struct threads_program *program, const uint8_t *data, size_t size) {
  struct reader reader = {.program = program};
  struct op_cursor cursor;
  struct op op;
  memset(reader.last_of_thread, 0xFF, sizeof reader.last_of_thread);
  memset(reader.last_of_slot, 0xFF, sizeof reader.last_of_slot);
  memset(program->first, 0xFF, sizeof program->first);
  program->count = 0;
  program->setup = op_read_setup(data, size);
  reader.random = (program->setup.schedule_seed + 1) * 0x9E3779B97F4A7C15u;
  op_cursor_begin(&cursor, data, size);
  while (program->count < THREADS_STEPS_MAX && op_next(&cursor, &op)) read_operation(&reader, &op, cursor.round);
  make_schedule(&reader);
}
