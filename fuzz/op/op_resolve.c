// SPDX-License-Identifier: Apache-2.0
//
// What an operation asks for, and the order in which the operations of an input are executed: the one place where that is
// decided, so that a target and the printer of its inputs agree. Layer: op; calls op.c, allocates nothing, has no state of
// its own. Test: op_test.cc.

#include "fuzz/op/op.h"

#include <string.h>

static enum op_call resolve_call(const struct op *op, unsigned misuse) {
  switch (misuse) {
    case OP_MISUSE_UNDERFLOW:
    case OP_MISUSE_OVERFLOW:
      return (enum op_call)op->flags;
    case OP_MISUSE_WRONG_SIZE:
      return op->flags % 2 == 0 ? OP_CALL_FREE_SIZED : OP_CALL_FREE_ALIGNED_SIZED;
    case OP_MISUSE_WRONG_ALIGNMENT:
      return OP_CALL_FREE_ALIGNED_SIZED;
    case OP_MISUSE_REALLOC:
      return OP_CALL_REALLOC;
    case OP_MISUSE_USABLE_SIZE:
      return OP_CALL_USABLE_SIZE;
    default:
      return op->flags == OP_CALL_CHECK_HEAP ? OP_CALL_FREE : (enum op_call)op->flags;
  }
}

struct op_arguments op_resolve(const struct op *op) {
  struct op_arguments arguments;
  memset(&arguments, 0, sizeof arguments);
  size_t size = op_size(op->selector, op->delta);
  switch (op->kind) {
    case OP_MALLOC:
      arguments.size = arguments.bytes = size;
      break;
    case OP_REALLOC:
      arguments.size = arguments.bytes = op->flags == 7 ? 0 : size;
      break;
    case OP_CALLOC:
    case OP_REALLOCARRAY:
      op_calloc_arguments(op, &arguments.count, &arguments.size);
      arguments.overflows = __builtin_mul_overflow(arguments.count, arguments.size, &arguments.bytes);
      if (arguments.overflows) arguments.bytes = SIZE_MAX;
      break;
    case OP_ALIGNED_ALLOC:
    case OP_POSIX_MEMALIGN:
    case OP_MEMALIGN:
      arguments.alignment = op_alignment(op);
      arguments.size = arguments.bytes = op_aligned_size(op);
      break;
    case OP_PAGE_ALLOC:
      arguments.size = arguments.bytes = size;
      arguments.whole_pages = op->flags & 1;
      break;
    case OP_FREE_RANGE:
      arguments.count = op->selector;
      arguments.backwards = op->flags & 1;
      break;
    case OP_TRIM:
      arguments.size = op->flags & 1 ? size : 0;
      break;
    case OP_CLOCK:
      arguments.milliseconds = op->selector * 4u;
      break;
    case OP_FAULT:
      arguments.fault = op_fault(op);
      break;
    case OP_PURGE_MODE:
      arguments.purge_mode = op->flags;
      break;
    case OP_THREAD_SWITCH:
    case OP_THREAD_EXIT:
      arguments.thread = op->flags % OP_THREADS;
      break;
    case OP_MISUSE:
      arguments.misuse = arguments.pointer = op->selector % OP_MISUSE_KINDS;
      if (arguments.misuse >= OP_MISUSE_REALLOC) arguments.pointer = (uint8_t)op->delta % 5;
      arguments.call = resolve_call(op, arguments.misuse);
      arguments.delta = op->delta;
      break;
    default:  // free, free sized, usable size, write, verify, statistics, check heap: nothing but the slot
      break;
  }
  return arguments;
}

uint8_t op_range_slot(const struct op *op, const struct op_arguments *arguments, size_t i) {
  return (uint8_t)(op->slot + (arguments->backwards ? arguments->count - 1 - i : i));
}

void op_cursor_begin(struct op_cursor *cursor, const uint8_t *data, size_t size) {
  memset(cursor, 0, sizeof *cursor);
  cursor->data = data;
  cursor->count = op_count(size);
}

// Begins to repeat what lies before the operation at index. Not if that is nothing, or nothing but other repeats: then
// looking for the next operation would take long and find none.
static void begin_repeat(struct op_cursor *cursor, const struct op *op, size_t index) {
  size_t length = op->slot % 16u + 1;
  cursor->first = cursor->position = index < length ? 0 : index - length;
  cursor->end = index;
  cursor->round = 1;
  cursor->shift = op->flags + 1u;
  for (size_t i = cursor->first; i < index; i++) {
    if (op_read(cursor->data, i).kind != OP_REPEAT) cursor->rounds = op->selector;
  }
}

static bool hand_out(struct op_cursor *cursor, const struct op *read, size_t index, struct op *op) {
  *op = *read;
  cursor->index = index;
  cursor->executed++;
  return true;
}

static bool next_repeated(struct op_cursor *cursor, struct op *op) {
  while (cursor->rounds > 0) {
    if (cursor->position == cursor->end) {
      cursor->position = cursor->first;
      cursor->rounds--;
      cursor->round++;
      continue;
    }
    size_t index = cursor->position++;
    struct op read = op_read(cursor->data, index);
    if (read.kind == OP_REPEAT) continue;
    read.slot = (uint8_t)(read.slot + cursor->round * cursor->shift);
    return hand_out(cursor, &read, index, op);
  }
  return false;
}

bool op_next(struct op_cursor *cursor, struct op *op) {
  if (cursor->executed == OP_EXECUTED_MAX) return false;
  for (;;) {
    if (next_repeated(cursor, op)) return true;
    if (cursor->next == cursor->count) return false;
    size_t index = cursor->next++;
    struct op read = op_read(cursor->data, index);
    if (read.kind == OP_REPEAT) {
      begin_repeat(cursor, &read, index);
      continue;
    }
    cursor->round = 0;
    return hand_out(cursor, &read, index, op);
  }
}
