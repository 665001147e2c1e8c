// SPDX-License-Identifier: Apache-2.0
//
// An input as a list of operations. Layer: op; calls op.h, op_target.h and stdio. Test: op_print_test.cc.

#include "fuzz/op/op_print.h"

#include <inttypes.h>
#include <string.h>

// Sizes as they are thought of: those near the limits by their distance.
struct size_text {
  char text[40];
};

static struct size_text size_text(size_t size) {
  struct size_text result;
  const size_t near = (size_t)4 << 20, middle = PTRDIFF_MAX;
  if (size >= SIZE_MAX - near) {
    snprintf(result.text, sizeof result.text, size == SIZE_MAX ? "SIZE_MAX" : "SIZE_MAX - %zu", SIZE_MAX - size);
  } else if (size > middle && size - middle <= near) {
    snprintf(result.text, sizeof result.text, "PTRDIFF_MAX + %zu", size - middle);
  } else if (size <= middle && middle - size <= near) {
    snprintf(result.text, sizeof result.text, size == middle ? "PTRDIFF_MAX" : "PTRDIFF_MAX - %zu", middle - size);
  } else {
    snprintf(result.text, sizeof result.text, size >> 48 ? "0x%zx" : "%zu", size);
  }
  return result;
}

#define TEXT(size) (size_text(size).text)

static void print_product(const struct op_arguments *arguments, FILE *output) {
  fprintf(output, "%s, %s)", TEXT(arguments->count), TEXT(arguments->size));
  if (arguments->overflows) {
    fputs("   # overflows", output);
  } else {
    fprintf(output, "   # %s bytes", TEXT(arguments->bytes));
  }
}

static void print_fault(const struct op_fault *fault, FILE *output) {
  static const char *const kinds[] = {"map", "map_at", "purge", "release"};
  if (fault->kinds == 0) {
    fputs("fault none", output);
    return;
  }
  fputs("fault", output);
  for (unsigned i = 0; i < 4; i++) {
    if (fault->kinds >> i & 1) fprintf(output, " %s", kinds[i]);
  }
  fprintf(output, ": after %zu calls ", fault->after);
  if (fault->count == SIZE_MAX) {
    fputs("all fail", output);
  } else {
    fprintf(output, "%zu fail", fault->count);
  }
}

void op_print_operation(const struct op *op, FILE *output) {
  struct op_arguments arguments = op_resolve(op);
  const char *name = op_kind_name(op->kind);
  unsigned slot = op->slot;
  switch (op->kind) {
    case OP_MALLOC:
      fprintf(output, "slot %u = malloc(%s)", slot, TEXT(arguments.size));
      break;
    case OP_CALLOC:
      fprintf(output, "slot %u = calloc(", slot);
      print_product(&arguments, output);
      break;
    case OP_REALLOC:
      fprintf(output, "slot %u = realloc(slot %u, %s)", slot, slot, TEXT(arguments.size));
      break;
    case OP_REALLOCARRAY:
      fprintf(output, "slot %u = reallocarray(slot %u, ", slot, slot);
      print_product(&arguments, output);
      break;
    case OP_ALIGNED_ALLOC:
    case OP_POSIX_MEMALIGN:
    case OP_MEMALIGN:
      fprintf(output, "slot %u = %s(%s, %s)", slot, name, TEXT(arguments.alignment), TEXT(arguments.size));
      break;
    case OP_PAGE_ALLOC:
      fprintf(output, "slot %u = %s(%s)", slot, arguments.whole_pages ? "pvalloc" : "valloc", TEXT(arguments.size));
      break;
    case OP_FREE:
    case OP_FREE_SIZED:
    case OP_USABLE_SIZE:
    case OP_WRITE:
      fprintf(output, "%s(slot %u)", name, slot);
      break;
    case OP_FREE_RANGE:
      fprintf(output, "free %zu slots", arguments.count);
      if (arguments.count > 0) {
        fprintf(output, ": slot %u to slot %u", op_range_slot(op, &arguments, 0),
                op_range_slot(op, &arguments, arguments.count - 1));
      }
      break;
    case OP_TRIM:
      fprintf(output, "trim(%s)", TEXT(arguments.size));
      break;
    case OP_CLOCK:
      fprintf(output, "%" PRIu32 " ms pass", arguments.milliseconds);
      break;
    case OP_FAULT:
      print_fault(&arguments.fault, output);
      break;
    case OP_PURGE_MODE:
      fprintf(output, "purge mode %u", arguments.purge_mode);
      break;
    case OP_THREAD_SWITCH:
    case OP_THREAD_EXIT:
      fprintf(output, op->kind == OP_THREAD_EXIT ? "thread %u ends" : "thread %u goes on", arguments.thread);
      break;
    case OP_MISUSE:
      fprintf(output, "misuse %s of slot %u, %d", op_misuse_name(arguments.misuse), slot, arguments.delta);
      if (arguments.call != OP_CALL_FREE) fprintf(output, ", by %s", op_call_name(arguments.call));
      break;
    case OP_REPEAT:
      fprintf(output, "repeat the %u operations before this %u times, slots %u further on each time", slot % 16 + 1,
              op->selector, op->flags + 1u);
      break;
    default:
      fputs(name, output);
      break;
  }
}

void op_print_operation_of(enum op_target target, const struct op *op, FILE *output) {
  if (op->kind == OP_MISUSE && target == OP_TARGET_THREADS) {
    fprintf(output, "two threads free slot %u at once", op->slot);
    return;
  }
  op_print_operation(op, output);
  if (op->kind == OP_MISUSE && !op_target_does_misuse(target)) fputs("   # left out", output);
}

void op_print_options(const char *text, FILE *output) {
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_=,.-+";
  fputs("HAKMEM_OPTIONS=", output);
  if (text[strspn(text, plain)] == '\0') {
    fputs(text, output);
    return;
  }
  fputs("$'", output);
  for (; *text != '\0'; text++) {
    if (*text < ' ' || *text > '~') {
      fprintf(output, "\\x%02x", (uint8_t)*text);
    } else {
      fprintf(output, *text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
    }
  }
  fputc('\'', output);
}

static void print_setup(const struct op_setup *setup, FILE *output) {
  fprintf(output, "chain_kib %" PRIu32 ", pool_chains %" PRIu32 ", purge_delay_ms %" PRIu32, setup->chain_kib,
          setup->pool_chains, setup->purge_delay_ms);
  fprintf(output, ", box_quarantine_blocks %" PRIu32 ", thp %" PRIu32 ", box_scan %" PRIu32 "\n",
          setup->quarantine_blocks, setup->thp, setup->box_scan);
}

static void print_environment(const struct op_setup *setup, FILE *output) {
  fprintf(output, "limit %" PRIu32 " superslabs, occupied %" PRIu32, setup->address_limit_superslabs, setup->occupied);
  if (setup->occupied_more != 0) fprintf(output, " and %" PRIu32 " more", setup->occupied_more);
  fprintf(output, ", schedule %" PRIu32 " with %" PRIu32 " points\n", setup->schedule_seed, setup->schedule_points);
}

static void print_requests(const uint8_t *data, size_t size, FILE *output) {
  fputs(size % 2 == 0 ? "small slabs\n" : "production's slabs\n", output);
  for (size_t i = 0; i < op_request_count(size); i++) {
    struct op_request request = op_read_request(data, i);
    fprintf(output, "%zu %u times ", i, request.count);
    if (request.alignment == 0) {
      fprintf(output, "malloc(%zu)\n", request.size);
    } else {
      fprintf(output, "aligned_alloc(%zu, %zu)\n", request.alignment, request.size);
    }
  }
}

void op_print_list(enum op_target target, const uint8_t *data, size_t size, FILE *output) {
  if (target == OP_TARGET_SIZE_CLASS) {
    print_requests(data, size, output);
    return;
  }
  struct op_input input = op_read_input(target, data, size);
  if (target == OP_TARGET_OPTIONS) {
    op_print_options(input.options, output);
    fputc('\n', output);
  } else {
    print_setup(&input.setup, output);
  }
  print_environment(&input.setup, output);
  for (size_t i = 0; i < op_count(input.size); i++) {
    struct op op = op_read(input.data, i);
    op_make(target, &input.setup, &op);
    fprintf(output, "%zu ", i);
    op_print_operation_of(target, &op, output);
    fputc('\n', output);
  }
  if (input.operations_max < OP_EXECUTED_MAX) fprintf(output, "at most %zu are executed\n", input.operations_max);
}

void op_print_executed(enum op_target target, const uint8_t *data, size_t size, FILE *output) {
  if (target == OP_TARGET_SIZE_CLASS) {
    print_requests(data, size, output);
    return;
  }
  struct op_input input = op_read_input(target, data, size);
  struct op_cursor cursor;
  struct op op;
  op_cursor_begin(&cursor, input.data, input.size);
  while (op_next(&cursor, &op) && cursor.executed <= input.operations_max) {
    op_make(target, &input.setup, &op);
    fprintf(output, "%zu (%zu.%u) ", cursor.executed - 1, cursor.index, cursor.round);
    op_print_operation_of(target, &op, output);
    fputc('\n', output);
  }
}
