// SPDX-License-Identifier: Apache-2.0
//
// An input as a C program, for reports and for other mallocs: the calls that a target makes, in the same order, and simple
// checks of what they return. Layer: op; calls op.h and stdio. Test: op_print_test.cc and print_program_test.sh.

#include "fuzz/op/op_print.h"

#include <inttypes.h>

// What every program begins with.
static const char *const prelude[] = {
    "// With the malloc that it is linked with:       cc program.c",
    "// With hak_malloc and the rest of hakmem:       cc -DHAKMEM -Iallocator/include program.c ...",
    "",
    "#ifndef _GNU_SOURCE",
    "#define _GNU_SOURCE",
    "#endif",
    "#include <malloc.h>",
    "#include <stdlib.h>",
    "#include <string.h>",
    "",
    "#ifdef HAKMEM",
    "#include \"hakmem/hakmem.h\"",
    "#define malloc hak_malloc",
    "#define calloc hak_calloc",
    "#define realloc hak_realloc",
    "#define reallocarray hak_reallocarray",
    "#define aligned_alloc hak_aligned_alloc",
    "#define posix_memalign hak_posix_memalign",
    "#define memalign hak_memalign",
    "#define valloc hak_valloc",
    "#define pvalloc hak_pvalloc",
    "#define free hak_free",
    "#define malloc_usable_size hak_usable_size",
    "#define malloc_trim hak_trim",
    "#define free_with_size hak_free_sized",
    "#define free_aligned_with_size hak_free_aligned_sized",
    "#define check_heap() ensure(hak_check_heap(NULL) == 0)",
    "static inline size_t live_bytes(void) {",
    "  struct hak_statistics statistics;",
    "  return hak_get_statistics(&statistics, sizeof statistics) == 0 ? statistics.live_bytes : 0;",
    "}",
    "#else",
    "#define free_with_size(pointer, size) free(pointer)",
    "#define free_aligned_with_size(pointer, alignment, size) free(pointer)",
    "#define check_heap() ((void)0)",
    "#define live_bytes() ((size_t)0)",
    "#endif",
    "",
    "#define SLOTS 256",
    "#define EDGE 4096",
    "// An alignment that free_aligned_sized is not told.",
    "#define OTHER ((size_t)-1)",
    "#define HELPER static __attribute__((unused))",
    "",
    "struct slot {",
    "  unsigned char *block;",
    "  size_t size, alignment;  // as asked for; alignment 0: by none of the functions that take one",
    "  unsigned char fill;",
    "};",
    "",
    "static struct slot slots[SLOTS];",
    "// Always 0, which the compiler does not know: it would warn of sizes that nobody can have.",
    "static volatile size_t zero;",
    "",
    "HELPER void ensure(int condition) {",
    "  if (!condition) abort();",
    "}",
    "",
    "// Looks at the first and the last bytes of a block.",
    "HELPER void check_bytes(const unsigned char *bytes, size_t size, unsigned char value) {",
    "  for (size_t i = 0; i < size && i < EDGE; i++) ensure(bytes[i] == value && bytes[size - 1 - i] == value);",
    "}",
    "",
    "HELPER void fill(unsigned slot) {",
    "  struct slot *s = &slots[slot];",
    "  if (s->block == NULL) return;",
    "  size_t edge = s->size < EDGE ? s->size : EDGE;",
    "  s->fill++;",
    "  memset(s->block, s->fill, edge);",
    "  memset(s->block + s->size - edge, s->fill, edge);",
    "}",
    "",
    "HELPER void check(unsigned slot) {",
    "  if (slots[slot].block != NULL) check_bytes(slots[slot].block, slots[slot].size, slots[slot].fill);",
    "}",
    "",
    "HELPER void check_all(void) {",
    "  for (unsigned i = 0; i < SLOTS; i++) check(i);",
    "}",
    "",
    "HELPER void slot_free(unsigned slot) {",
    "  check(slot);",
    "  free(slots[slot].block);",
    "  slots[slot].block = NULL;",
    "}",
    "",
    "HELPER void slot_free_sized(unsigned slot) {",
    "  struct slot *s = &slots[slot];",
    "  check(slot);",
    "  if (s->alignment == OTHER) {",
    "    free(s->block);",
    "  } else if (s->alignment != 0) {",
    "    free_aligned_with_size(s->block, s->alignment, s->size);",
    "  } else {",
    "    free_with_size(s->block, s->size);",
    "  }",
    "  s->block = NULL;",
    "}",
    "",
    "HELPER void set(unsigned slot, void *block, size_t size, size_t alignment) {",
    "  slots[slot].block = block;",
    "  slots[slot].size = size;",
    "  slots[slot].alignment = alignment;",
    "  fill(slot);",
    "}",
    "",
    "HELPER void set_aligned(unsigned slot, void *block, size_t size, size_t alignment) {",
    "  int is_power = alignment != 0 && (alignment & (alignment - 1)) == 0;",
    "  if (block != NULL && is_power) ensure(((size_t)block & (alignment - 1)) == 0);",
    "  set(slot, block, size, is_power ? alignment : OTHER);",
    "}",
    "",
    "HELPER void slot_malloc(unsigned slot, size_t size) {",
    "  slot_free(slot);",
    "  set(slot, malloc(size + zero), size, 0);",
    "}",
    "",
    "HELPER void slot_calloc(unsigned slot, size_t count, size_t size) {",
    "  slot_free(slot);",
    "  void *block = calloc(count + zero, size + zero);",
    "  if (block != NULL) check_bytes(block, count * size, 0);",
    "  set(slot, block, count * size, 0);",
    "}",
    "",
    "HELPER void after_realloc(unsigned slot, void *block, size_t size) {",
    "  struct slot *s = &slots[slot];",
    "  if (block == NULL && (s->block == NULL || size != 0)) return;  // it failed, and the block is as it was",
    "  size_t kept = s->block == NULL || block == NULL ? 0 : s->size < size ? s->size : size;",
    "  for (size_t i = 0; i < kept && i < EDGE; i++) ensure(((unsigned char *)block)[i] == s->fill);",
    "  set(slot, block, size, 0);",
    "}",
    "",
    "HELPER void slot_realloc(unsigned slot, size_t size) {",
    "  check(slot);",
    "  after_realloc(slot, realloc(slots[slot].block, size + zero), size);",
    "}",
    "",
    "HELPER void slot_reallocarray(unsigned slot, size_t count, size_t size) {",
    "  check(slot);",
    "  after_realloc(slot, reallocarray(slots[slot].block, count + zero, size + zero),",
    "                size == 0 || count <= (size_t)-1 / size ? count * size : 1);",
    "}",
    "",
    "HELPER void slot_aligned_alloc(unsigned slot, size_t alignment, size_t size) {",
    "  slot_free(slot);",
    "  set_aligned(slot, aligned_alloc(alignment + zero, size + zero), size, alignment);",
    "}",
    "",
    "HELPER void slot_memalign(unsigned slot, size_t alignment, size_t size) {",
    "  slot_free(slot);",
    "  set_aligned(slot, memalign(alignment + zero, size + zero), size, alignment);",
    "}",
    "",
    "HELPER void slot_posix_memalign(unsigned slot, size_t alignment, size_t size) {",
    "  void *block = NULL;",
    "  slot_free(slot);",
    "  if (posix_memalign(&block, alignment + zero, size + zero) != 0) block = NULL;",
    "  set_aligned(slot, block, size, alignment);",
    "}",
    "",
    "HELPER void slot_valloc(unsigned slot, size_t size) {",
    "  slot_free(slot);",
    "  set(slot, valloc(size + zero), size, OTHER);",
    "}",
    "",
    "HELPER void slot_pvalloc(unsigned slot, size_t size) {",
    "  slot_free(slot);",
    "  set(slot, pvalloc(size + zero), size, OTHER);",
    "}",
    "",
    "HELPER void slot_usable_size(unsigned slot) {",
    "  if (slots[slot].block != NULL) ensure(malloc_usable_size(slots[slot].block) >= slots[slot].size);",
    "}",
    "",
    "int main(void) {",
    "  const size_t live_before = live_bytes();",
};

static const char *const postlude[] = {
    "",
    "  for (unsigned i = 0; i < SLOTS; i++) slot_free(i);",
    "  ensure(live_bytes() == live_before);",
    "  return 0;",
    "}",
};

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

// A call, or a comment where there is none; shift is that of the loop around it, or 0.
static void print_call(const struct op *op, unsigned shift, const char *indent, FILE *output) {
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
      fprintf(output, "%s// ", indent);
      op_print_operation(op, output);
      fputc('\n', output);
      break;
  }
}

static size_t plain_operations(const struct op_cursor *cursor, size_t end) {
  size_t plain = 0;
  for (size_t i = cursor->first; i < end; i++) plain += op_read(cursor->data, i).kind != OP_REPEAT;
  return plain;
}

// Whether the operation that was handed out last is the first of a repetition that is executed to its end.
static bool begins_loop(const struct op_cursor *cursor) {
  if (cursor->round != 1 || plain_operations(cursor, cursor->index) > 0) return false;
  return cursor->executed - 1 + plain_operations(cursor, cursor->end) * cursor->rounds <= OP_EXECUTED_MAX;
}

// The loop, and moves the cursor behind it.
static void print_loop(struct op_cursor *cursor, FILE *output) {
  fprintf(output, "  for (unsigned i = 1; i <= %u; i++) {\n", cursor->rounds);
  for (size_t i = cursor->first; i < cursor->end; i++) {
    struct op op = op_read(cursor->data, i);
    if (op.kind != OP_REPEAT) print_call(&op, cursor->shift, "    ", output);
  }
  fputs("  }\n", output);
  struct op op;
  for (size_t left = plain_operations(cursor, cursor->end) * cursor->rounds - 1; left > 0; left--) op_next(cursor, &op);
}

void op_print_c(const uint8_t *data, size_t size, FILE *output) {
  struct op_cursor cursor;
  struct op op;
  PRINT_LINES(prelude, output);
  op_cursor_begin(&cursor, data, size);
  while (op_next(&cursor, &op)) {
    if (begins_loop(&cursor)) {
      print_loop(&cursor, output);
    } else {
      print_call(&op, 0, "  ", output);
    }
  }
  PRINT_LINES(postlude, output);
}
