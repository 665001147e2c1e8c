// SPDX-License-Identifier: Apache-2.0
//
// An input as a C program, for reports and for other mallocs: the calls that a target makes, in the same order, and simple
// checks of what they return. Layer: op; calls op.h, op_target.h and stdio. Test: op_print_test.cc and printed_..._test.

#include "fuzz/op/op_print.h"

#include "fuzz/op/op_print_c_text.h"

#define PRINT_LINES(lines, output)                                           \
  for (size_t line = 0; line < sizeof(lines) / sizeof((lines)[0]); line++) { \
    fprintf(output, "%s\n", (lines)[line]);                                  \
  }

// The slot in a call: a number, or in a loop an expression.
struct slot_text {
  char text[40];
};

static struct slot_text slot_text(unsigned slot, unsigned shift) {
  struct slot_text result;
  if (shift == 0) {
    snprintf(result.text, sizeof result.text, "%u", slot % OP_SLOTS);
  } else if (shift == 1) {
    snprintf(result.text, sizeof result.text, "(%u + i) %% SLOTS", slot);
  } else {
    snprintf(result.text, sizeof result.text, "(%u + %u * i) %% SLOTS", slot, shift);
  }
  return result;
}

// A number that is a constant of the right type in C: from 2^32 on as hexadecimal ones are.
struct number_text {
  char text[24];
};

static struct number_text number_text(size_t number) {
  struct number_text result;
  snprintf(result.text, sizeof result.text, number >> 32 ? "0x%zx" : "%zu", number);
  return result;
}

#define NUMBER(number) (number_text(number).text)

static void print_range(const struct op_arguments *arguments, const char *indent, const char *slot, FILE *output) {
  if (arguments->count == 0) return;
  if (arguments->backwards) {
    fprintf(output, "%sfor (unsigned k = %zu; k-- > 0;) ", indent, arguments->count);
  } else {
    fprintf(output, "%sfor (unsigned k = 0; k < %zu; k++) ", indent, arguments->count);
  }
  fprintf(output, "slot_free((%s + k) %% SLOTS);\n", slot);
}

// Misuse that is a plain call: with a pointer of the first kinds, but for the one that needs a header to be forged.
static bool is_plain_misuse(enum op_target target, const struct op *op, const struct op_arguments *arguments) {
  return op->kind == OP_MISUSE && op_target_does_misuse(target) && arguments->pointer <= OP_MISUSE_FREE_FOREIGN &&
         arguments->pointer != OP_MISUSE_FREE_FORGED;
}

static void print_misuse(const struct op_arguments *arguments, const char *indent, const char *slot, FILE *output) {
  fprintf(output, "%smisuse_%s(", indent, op_call_name(arguments->call));
  switch (arguments->pointer) {
    case OP_MISUSE_DOUBLE_FREE:
      fprintf(output, "freed(%s)", slot);
      break;
    case OP_MISUSE_FREE_MISALIGNED:
      fprintf(output, "misaligned(%s, %d)", slot, arguments->delta);
      break;
    case OP_MISUSE_FREE_INTERIOR:
      fprintf(output, "interior(%s, %d)", slot, arguments->delta);
      break;
    default:
      fprintf(output, "foreign(%u)", (uint8_t)arguments->delta);
      break;
  }
  fputs(");\n", output);
}

// A call, or a comment where there is none; shift is that of the loop around it, or 0.
static void print_call(enum op_target target, const struct op *op, unsigned shift, const char *indent, FILE *output) {
  struct op_arguments arguments = op_resolve(op);
  const char *name = op_kind_name(op->kind);
  struct slot_text slot_expression = slot_text(op->slot, shift);
  const char *slot = slot_expression.text;
  switch (op->kind) {
    case OP_MALLOC:
    case OP_REALLOC:
      fprintf(output, "%sslot_%s(%s, %s);\n", indent, name, slot, NUMBER(arguments.size));
      break;
    case OP_CALLOC:
    case OP_REALLOCARRAY:
      fprintf(output, "%sslot_%s(%s, %s, %s);\n", indent, name, slot, NUMBER(arguments.count), NUMBER(arguments.size));
      break;
    case OP_ALIGNED_ALLOC:
    case OP_POSIX_MEMALIGN:
    case OP_MEMALIGN:
      fprintf(output, "%sslot_%s(%s, %s, %s);\n", indent, name, slot, NUMBER(arguments.alignment),
              NUMBER(arguments.size));
      break;
    case OP_PAGE_ALLOC:
      fprintf(output, "%sslot_%s(%s, %s);\n", indent, arguments.whole_pages ? "pvalloc" : "valloc", slot,
              NUMBER(arguments.size));
      break;
    case OP_FREE:
    case OP_FREE_SIZED:
    case OP_USABLE_SIZE:
      fprintf(output, "%sslot_%s(%s);\n", indent, name, slot);
      break;
    case OP_FREE_RANGE:
      print_range(&arguments, indent, slot, output);
      break;
    case OP_WRITE:
      fprintf(output, "%sfill(%s);\n", indent, slot);
      break;
    case OP_VERIFY:
      fprintf(output, "%scheck_all();\n", indent);
      break;
    case OP_TRIM:
      fprintf(output, "%smalloc_trim(%s);\n", indent, NUMBER(arguments.size));
      break;
    case OP_CHECK_HEAP:
      fprintf(output, "%scheck_heap();\n", indent);
      break;
    default:
      if (is_plain_misuse(target, op, &arguments)) {
        print_misuse(&arguments, indent, slot, output);
      } else {
        fprintf(output, "%s// ", indent);
        op_print_operation_of(target, op, output);
        fputc('\n', output);
      }
      break;
  }
}

static size_t plain_operations(const struct op_cursor *cursor, size_t end) {
  size_t plain = 0;
  for (size_t i = cursor->first; i < end; i++) plain += op_read(cursor->data, i).kind != OP_REPEAT;
  return plain;
}

// Whether the operation that was handed out last is the first of a repetition that is executed to its end, and that is the
// same each time but for the slots.
static bool begins_loop(enum op_target target, const struct op_input *input, const struct op_cursor *cursor) {
  if (cursor->round != 1 || plain_operations(cursor, cursor->index) > 0) return false;
  if (target == OP_TARGET_THREADS && input->setup.schedule_seed % 2 != 0) return false;
  return cursor->executed - 1 + plain_operations(cursor, cursor->end) * cursor->rounds <= input->operations_max;
}

// The loop, and moves the cursor behind it.
static void print_loop(enum op_target target, const struct op_input *input, struct op_cursor *cursor, FILE *output) {
  fprintf(output, "  for (unsigned i = 1; i <= %u; i++) {\n", cursor->rounds);
  for (size_t i = cursor->first; i < cursor->end; i++) {
    struct op op = op_read(cursor->data, i);
    op_make(target, &input->setup, &op);
    if (op.kind != OP_REPEAT) print_call(target, &op, cursor->shift, "    ", output);
  }
  fputs("  }\n", output);
  struct op op;
  for (size_t left = plain_operations(cursor, cursor->end) * cursor->rounds - 1; left > 0; left--) op_next(cursor, &op);
}

static void print_operations(enum op_target target, const struct op_input *input, FILE *output) {
  struct op_cursor cursor;
  struct op op;
  op_cursor_begin(&cursor, input->data, input->size);
  while (op_next(&cursor, &op) && cursor.executed <= input->operations_max) {
    if (begins_loop(target, input, &cursor)) {
      print_loop(target, input, &cursor, output);
    } else {
      op_make(target, &input->setup, &op);
      print_call(target, &op, 0, "  ", output);
    }
  }
}

// ---- What the program does not replay -------------------------------------------------------------------------------

enum lack { LACK_LIMIT, LACK_FAULTS, LACK_PURGE_MODES, LACK_TIME, LACK_THREADS, LACK_MISUSE, LACK_CLASSES, LACKS };

static const char *const lack_texts[LACKS] = {
    [LACK_LIMIT] = "that there is a limit of memory, or that some of it is somebody else's",
    [LACK_FAULTS] = "memory calls that fail",
    [LACK_PURGE_MODES] = "purges that do not work",
    [LACK_TIME] = "time that passes",
    [LACK_THREADS] = "threads: all calls are made by one",
    [LACK_MISUSE] = "misuse that is more than a call",
    [LACK_CLASSES] = "the check of which class each block is of",
};

static unsigned lacks_of_operation(enum op_target target, const struct op *op) {
  struct op_arguments arguments = op_resolve(op);
  switch (op->kind) {
    case OP_FAULT:
      return arguments.fault.kinds != 0 ? 1u << LACK_FAULTS : 0;
    case OP_PURGE_MODE:
      return arguments.purge_mode != 0 ? 1u << LACK_PURGE_MODES : 0;
    case OP_CLOCK:
      return arguments.milliseconds != 0 ? 1u << LACK_TIME : 0;
    case OP_THREAD_SWITCH:
    case OP_THREAD_EXIT:
      return 1u << LACK_THREADS;
    case OP_MISUSE:
      if (target == OP_TARGET_THREADS) return 1u << LACK_THREADS;
      return op_target_does_misuse(target) && !is_plain_misuse(target, op, &arguments) ? 1u << LACK_MISUSE : 0;
    default:
      return 0;
  }
}

static unsigned lacks_of_program(enum op_target target, const struct op_input *input) {
  const struct op_setup *setup = &input->setup;
  unsigned lacks = 0;
  if (setup->address_limit_superslabs != 0 || setup->occupied != 0) lacks |= 1u << LACK_LIMIT;
  if (target == OP_TARGET_FAULTS && setup->schedule_points != 0) lacks |= 1u << LACK_FAULTS | 1u << LACK_PURGE_MODES;
  // Operations are spread over the threads.
  if (target == OP_TARGET_THREADS && (setup->schedule_points & 4) != 0) lacks |= 1u << LACK_THREADS;
  struct op_cursor cursor;
  struct op op;
  op_cursor_begin(&cursor, input->data, input->size);
  while (op_next(&cursor, &op) && cursor.executed <= input->operations_max) {
    op_make(target, &input->setup, &op);
    lacks |= lacks_of_operation(target, &op);
  }
  return lacks;
}

static bool has_plain_misuse(enum op_target target, const struct op_input *input) {
  struct op_cursor cursor;
  struct op op;
  op_cursor_begin(&cursor, input->data, input->size);
  while (op_next(&cursor, &op) && cursor.executed <= input->operations_max) {
    struct op_arguments arguments = op_resolve(&op);
    if (is_plain_misuse(target, &op, &arguments)) return true;
  }
  return false;
}

// ---- The program ----------------------------------------------------------------------------------------------------

static void print_head(enum op_target target, const char *options, bool small_slabs, unsigned lacks, FILE *output) {
  fputs("// With the malloc that it is linked with:\n//     cc program.c && ./a.out\n", output);
  fputs("// With hakmem, in its repository; -DHAK_CHECKS_LEVEL=2 makes it the Box:\n", output);
  fprintf(output, "//     cc -DHAKMEM %s-I. -Iallocator/include program.c allocator/all_in_one.c -pthread\n//     ",
          small_slabs ? "-DHAK_SMALL_GEOMETRY=1 " : "");
  op_print_options(options, output);
  fputs(" ./a.out\n", output);
  if (lacks != 0) fputs("//\n// This program does not replay:\n", output);
  for (unsigned i = 0; i < LACKS; i++) {
    if ((lacks >> i & 1) == 0) continue;
    fprintf(output, "//     %s", lack_texts[i]);
    if (i == LACK_THREADS && target == OP_TARGET_THREADS) {
      fputs("; the target prints the schedule with FUZZ_PRINT=1 in its environment", output);
    }
    fputc('\n', output);
  }
  fputc('\n', output);
}

static void print_requests(const uint8_t *data, size_t size, FILE *output) {
  print_head(OP_TARGET_SIZE_CLASS, OP_REQUEST_OPTIONS, size % 2 == 0, 1u << LACK_CLASSES, output);
  PRINT_LINES(prelude, output);
  PRINT_LINES(main_begins, output);
  for (size_t i = 0; i < op_request_count(size); i++) {
    struct op_request request = op_read_request(data, i);
    for (unsigned k = 0; k < request.count; k++) {
      unsigned slot = (unsigned)i * OP_REQUEST_BLOCKS_MAX + k;
      if (request.alignment == 0) {
        fprintf(output, "  slot_malloc(%u, %zu);\n", slot, request.size);
      } else {
        fprintf(output, "  slot_aligned_alloc(%u, %zu, %zu);\n", slot, request.alignment, request.size);
      }
    }
  }
  PRINT_LINES(postlude, output);
}

void op_print_c(enum op_target target, const uint8_t *data, size_t size, FILE *output) {
  if (target == OP_TARGET_SIZE_CLASS) {
    print_requests(data, size, output);
    return;
  }
  struct op_input input = op_read_input(target, data, size);
  bool small_slabs = target != OP_TARGET_NONE && target != OP_TARGET_LARGE;
  print_head(target, input.options, small_slabs, lacks_of_program(target, &input), output);
  PRINT_LINES(prelude, output);
  if (has_plain_misuse(target, &input)) PRINT_LINES(misuse_helpers, output);
  PRINT_LINES(main_begins, output);
  print_operations(target, &input, output);
  PRINT_LINES(postlude, output);
}
