// SPDX-License-Identifier: Apache-2.0
//
// Choosing a seeded bug, and its counters. Layer: seeded. State: hak_seeded_bug, of allocator/base/seeded_bug.h, which every
// variant in the program shares, and all processes that count in the same file. Test: //fuzz/seeded:seeded_bugs_test.

#include "fuzz/seeded/seeded_bugs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "allocator/base/seeded_bug.h"

#ifndef HAK_SEEDED_BUG
#error "compiled with HAK_SEEDED_BUG, as the variants are"
#endif

// Greater than a page of any machine.
#define PAGE_BYTES ((size_t)1 << 16)

// Alone in its pages, so that a file can be mapped in their place.
static union {
  struct hak_seeded_bug bug;
  char bytes[PAGE_BYTES];
} pages __attribute__((aligned(PAGE_BYTES)));

extern struct hak_seeded_bug hak_seeded_bug __attribute__((alias("pages")));

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

static void count_in_file(const char *path) {
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0 || lseek(file, 0, SEEK_END) < (off_t)PAGE_BYTES ||
      mmap(&pages, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) != (void *)&pages) {
    fprintf(stderr, "fuzz: %s=%s: not a file of %zu bytes to write to\n", SEEDED_BUG_COUNTS_VARIABLE, path, PAGE_BYTES);
    _exit(2);
  }
  close(file);
}

const struct seeded_bug *seeded_bug_choose(void) {
  const char *wanted = getenv(SEEDED_BUG_VARIABLE);
  if (wanted == NULL || *wanted == '\0') return NULL;
  const struct seeded_bug *bug = seeded_bug_find(wanted);
  if (bug == NULL) {
    fprintf(stderr, "fuzz: %s=%s: no such seeded bug\n", SEEDED_BUG_VARIABLE, wanted);
    _exit(2);
  }
  const char *counts = getenv(SEEDED_BUG_COUNTS_VARIABLE);
  if (counts != NULL && *counts != '\0') count_in_file(counts);
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
