// SPDX-License-Identifier: Apache-2.0
//
// What the death tests are made of: each file of this folder has one misuse of the heap, which death_program.c runs in a
// process of its own. The files say hak_malloc and so on, whatever the prefix of the library.

#ifndef TESTS_DEATH_MISUSE_H_
#define TESTS_DEATH_MISUSE_H_

#include <stddef.h>
#include <stdint.h>

#include "hakmem/hakmem.h"

#ifdef __cplusplus
extern "C" {
#endif

enum misuse_kind {
  MISUSE_CAUGHT,   // the Box must find it
  MISUSE_LIMIT,    // nothing finds it, and docs/checks.md says so
  MISUSE_CONTROL,  // not misuse: no level may report anything
};

struct misuse {
  const char *name;
  enum misuse_kind kind;
  const char *options;  // HAKMEM_OPTIONS of the process, which the driver sets
  void (*body)(void);
  struct misuse *next;
};

void misuse_add(struct misuse *misuse);

// The title is the line in the table of docs/checks.md; checks_table.py reads it here.
#define MISUSE_OF_KIND(NAME, KIND, OPTIONS)                           \
  static void NAME(void);                                             \
  __attribute__((constructor)) static void add_##NAME(void) {         \
    static struct misuse misuse = {#NAME, KIND, OPTIONS, NAME, NULL}; \
    misuse_add(&misuse);                                              \
  }                                                                   \
  static void NAME(void)
#define MISUSE(NAME, TITLE) MISUSE_OF_KIND(NAME, MISUSE_CAUGHT, "")
#define MISUSE_WITH(NAME, TITLE, OPTIONS) MISUSE_OF_KIND(NAME, MISUSE_CAUGHT, OPTIONS)
#define LIMIT(NAME, TITLE) MISUSE_OF_KIND(NAME, MISUSE_LIMIT, "")
#define CONTROL(NAME, TITLE) MISUSE_OF_KIND(NAME, MISUSE_CONTROL, "")
#define CONTROL_WITH(NAME, TITLE, OPTIONS) MISUSE_OF_KIND(NAME, MISUSE_CONTROL, OPTIONS)

// A block whose requested bytes have been written. Ends the process where there is none.
char *new_block(size_t size);
// count blocks of a size, freed again: what was freed before leaves its quarantine, where there is one.
void use_blocks(size_t count, size_t size);
// A block of the same kind from another build of hakmem in the same program.
void *other_variant_block(size_t size);
// Runs body in another thread, to its end.
void run_in_thread(void *(*body)(void *), void *argument);
// Aborts with what hak_check_heap finds, if it finds something.
void expect_whole_heap(void);
// Ends the process, with the place, where something that is not misuse goes wrong.
void fail(const char *what);
#define EXPECT(CONDITION) ((CONDITION) ? (void)0 : fail(__FILE__ ": " #CONDITION))

// What the compiler knows nothing about, so that it neither warns of the misuse nor leaves it out.
static inline void *opaque(void *pointer) {
  __asm__ volatile("" : "+r"(pointer));
  return pointer;
}
static inline void *at(uintptr_t address) { return opaque((void *)address); }
static inline void write_byte(void *block, ptrdiff_t offset, int value) {
  *((volatile char *)opaque(block) + offset) = (char)value;
}
static inline int read_byte(void *block, ptrdiff_t offset) { return *((volatile char *)opaque(block) + offset); }

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TESTS_DEATH_MISUSE_H_
