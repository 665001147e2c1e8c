// SPDX-License-Identifier: Apache-2.0
//
// Which oracles are on, and what happens when one fails. Layer: model. Not instrumented. Test: fuzz/model/oracle_test.cc.

#include "fuzz/model/oracle.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
#define ORACLE(name, meaning) #name,
    ORACLES(ORACLE)
#undef ORACLE
};

static uint64_t switched_off;
static struct {
  size_t number;
  const char *heap;
  const char *call;
} now = {0, "", ""};

static enum oracle find(const char *name, size_t length) {
  for (unsigned i = 0; i < ORACLE_COUNT; i++) {
    if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0) return (enum oracle)i;
  }
  fprintf(stderr, "fuzz: FUZZ_ORACLES: there is no oracle \"%.*s\"; there are:", (int)length, name);
  for (unsigned i = 0; i < ORACLE_COUNT; i++) fprintf(stderr, " %s", names[i]);
  fprintf(stderr, "\n");
  exit(2);
}

void oracle_initialize(void) {
  const char *next = getenv("FUZZ_ORACLES");
  if (next == NULL || *next == '\0' || strcmp(next, "all") == 0) return;
  if (*next != '-') switched_off = UINT64_MAX;
  while (*next != '\0') {
    size_t length = strcspn(next, ",");
    if (*next == '-') {
      switched_off |= (uint64_t)1 << find(next + 1, length - 1);
    } else if (length > 0 && !(length == 4 && memcmp(next, "none", 4) == 0)) {
      switched_off &= ~((uint64_t)1 << find(next, length));
    }
    next += length + (next[length] == ',' ? 1 : 0);
  }
}

bool oracle_is_on(enum oracle oracle) { return (switched_off >> oracle & 1) == 0; }

void oracle_note_operation(size_t number, const char *heap, const char *call) {
  now.number = number;
  now.heap = heap;
  now.call = call;
}

void oracle_failed(enum oracle oracle, const char *format, ...) {
  if (!oracle_is_on(oracle)) return;
  fprintf(stderr, "fuzz: oracle %s: ", names[oracle]);
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fprintf(stderr, " (operation %zu, %s, %s)\n", now.number, now.call, now.heap);
  abort();
}
