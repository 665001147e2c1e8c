// SPDX-License-Identifier: Apache-2.0
//
// Choosing a seeded bug, and its counters. Layer: seeded. State: hak_seeded_bug, of allocator/base/seeded_bug.h, which every
// variant in the program shares. Test: //fuzz/seeded:seeded_bugs_test.

#include "fuzz/seeded/seeded_bugs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocator/base/seeded_bug.h"

#ifndef HAK_SEEDED_BUG
#error "compiled with HAK_SEEDED_BUG, as the variants are"
#endif

struct hak_seeded_bug hak_seeded_bug;

static const struct seeded_bug seeded_bugs[] = {
#define SEEDED_BUG(number, name, file, levels, targets, oracles, precedent, description) \
  {number, #name, file, levels, targets, oracles, precedent, description},
#include "fuzz/seeded/bugs.def"
#undef SEEDED_BUG
};

#define SEEDED_BUG_COUNT (sizeof seeded_bugs / sizeof seeded_bugs[0])

const struct seeded_bug *seeded_bug_find(const char *number_or_name) {
  char *end;
  unsigned long number = strtoul(number_or_name, &end, 10);
  if (*end != '\0') number = 0;
  for (size_t i = 0; i < SEEDED_BUG_COUNT; i++) {
    const struct seeded_bug *bug = &seeded_bugs[i];
    if (bug->number == number || strcmp(bug->name, number_or_name) == 0) return bug;
  }
  return NULL;
}

const struct seeded_bug *seeded_bug_choose(void) {
  const char *wanted = getenv(SEEDED_BUG_VARIABLE);
  if (wanted == NULL || *wanted == '\0') return NULL;
  const struct seeded_bug *bug = seeded_bug_find(wanted);
  if (bug == NULL) {
    fprintf(stderr, "fuzz: %s=%s: no such seeded bug\n", SEEDED_BUG_VARIABLE, wanted);
    _exit(2);
  }
  hak_seeded_bug.number = bug->number;
  return bug;
}

uint64_t seeded_bug_reached(void) { return __atomic_load_n(&hak_seeded_bug.reached, __ATOMIC_RELAXED); }
uint64_t seeded_bug_triggered(void) { return __atomic_load_n(&hak_seeded_bug.triggered, __ATOMIC_RELAXED); }

void seeded_bug_print(int file_descriptor) {
  char line[160];
  uint32_t number = hak_seeded_bug.number;
  const char *name = "";
  if (number == 0) return;
  for (size_t i = 0; i < SEEDED_BUG_COUNT; i++) {
    if (seeded_bugs[i].number == number) name = seeded_bugs[i].name;
  }
  int length = snprintf(line, sizeof line, "seeded bug %u %s: reached %llu triggered %llu\n", number, name,
                        (unsigned long long)seeded_bug_reached(), (unsigned long long)seeded_bug_triggered());
  if (length > 0) (void)!write(file_descriptor, line, (size_t)length);
}
