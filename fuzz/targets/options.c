// SPDX-License-Identifier: Apache-2.0
//
// HAKMEM_OPTIONS as any text: what is well formed is set, what is not changes nothing and is warned about; and with whatever
// was set the heap works. A program follows the text behind its first zero byte.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/execute/execute.h"
#include "fuzz/op/op_target.h"
#include "fuzz/targets/target.h"

#define OPTIONS_MAX 64
#define WARNINGS STDERR_FILENO

// ---- What the parser should come to, in another way than it does -----------------------------------------------------

struct expected {
  uint32_t values[OPTIONS_MAX];
  bool warns;
};

static bool is_number(const char *text) { return *text != '\0' && strspn(text, "0123456789") == strlen(text); }

static bool set_option(const struct heap *heap, struct expected *expected, const char *name, const char *value) {
  for (unsigned i = 0; heap->options[i].name != NULL; i++) {
    if (strcmp(heap->options[i].name, name) != 0) continue;
    if (value == NULL || !is_number(value)) return false;
    unsigned long long number = strtoull(value, NULL, 10);
    if (number < heap->options[i].least || number > heap->options[i].greatest) return false;
    expected->values[i] = (uint32_t)number;
    return true;
  }
  return false;
}

static void expect(const struct heap *heap, struct expected *expected, const char *text) {
  char copy[OP_OPTIONS_TEXT_MAX + 1], *rest = copy, *entry;
  for (unsigned i = 0; heap->options[i].name != NULL; i++) expected->values[i] = heap->options[i].initial;
  expected->warns = false;
  strcpy(copy, text);
  while ((entry = strsep(&rest, ",")) != NULL) {
    char *value = entry, *name = strsep(&value, "=");
    if (*entry == '\0' && value == NULL) continue;
    if (!set_option(heap, expected, name, value)) expected->warns = true;
  }
}

// ---- Whether it did -------------------------------------------------------------------------------------------------

// An empty file in memory.
static int empty_file(void) {
  static int file = -1;
  if (file < 0) file = memfd_create("output", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, 0) != 0 || lseek(file, 0, SEEK_SET) != 0) abort();
  return file;
}

// Parses with the warnings going elsewhere. Whether there were any.
static bool reset_quietly(const struct heap *heap, const char *text) {
  static int stderr_copy = -1;
  if (stderr_copy < 0) stderr_copy = fcntl(WARNINGS, F_DUPFD_CLOEXEC, 3);
  int elsewhere = empty_file();
  dup2(elsewhere, WARNINGS);
  heap->reset(text);
  dup2(stderr_copy, WARNINGS);
  return lseek(elsewhere, 0, SEEK_END) > 0;
}

// What hak_options_print writes is what the options are.
static void check_printed(const struct heap *heap) {
  static char expected[OPTIONS_MAX * 512], printed[sizeof expected];
  size_t length = 0;
  for (unsigned i = 0; heap->options[i].name != NULL; i++) {
    const struct heap_option *option = &heap->options[i];
    length += (size_t)snprintf(expected + length, sizeof expected - length, "%s=%u (default %u, %u to %u): %s\n",
                               option->name, *option->value, option->initial, option->least, option->greatest,
                               option->meaning);
  }
  int file = empty_file();
  ORACLE_CHECK(error, heap->options_print(file) == 0, "hak_options_print failed");
  ssize_t bytes = pread(file, printed, sizeof printed, 0);
  ORACLE_CHECK(error, bytes == (ssize_t)length && memcmp(printed, expected, length) == 0,
               "hak_options_print wrote \"%.*s\"", (int)bytes, printed);
}

static void check_options(const struct heap *heap, const char *text) {
  struct expected expected;
  expect(heap, &expected, text);
  bool warned = reset_quietly(heap, text);
  ORACLE_CHECK(error, warned == expected.warns, "\"%s\" is %swarned about", text, warned ? "" : "not ");
  for (unsigned i = 0; heap->options[i].name != NULL; i++) {
    ORACLE_CHECK(error, *heap->options[i].value == expected.values[i], "\"%s\" makes %s %u and not %u", text,
                 heap->options[i].name, *heap->options[i].value, expected.values[i]);
  }
  check_printed(heap);
}

static void run(const struct heap *heap, const char *text, const uint8_t *program, size_t size) {
  static struct execution execution;
  oracle_note_operation(0, heap->name, "options");
  execute_begin(&execution, heap, NULL, program, size);
  check_options(heap, text);
  execute_limit_memory(heap, &execution.setup);
  // Reports at exit are of the last input, and no use.
  execute_program(&execution, program, size);
  execute_end(&execution);
  heap->reset("");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[OP_OPTIONS_TEXT_MAX + 1];
  size_t program = op_read_options_text(data, size, text);
  run(heap_direct_small(), text, data + program, size - program);
  run(heap_box_small(), text, data + program, size - program);
  return 0;
}
