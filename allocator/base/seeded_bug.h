// SPDX-License-Identifier: Apache-2.0
//
// Seeded bugs: mistakes that somebody could make, at places marked in the code, to measure whether the fuzz targets find them.
// fuzz/seeded/bugs.def describes each by its number. Everything that is shipped is compiled without HAK_SEEDED_BUG: then
// each mark is the constant 0 and leaves nothing in the machine code. With it one program holds all of them, and
// hak_seeded_bug says which one is on. Layer: base. No state.

#ifndef ALLOCATOR_BASE_SEEDED_BUG_H_
#define ALLOCATOR_BASE_SEEDED_BUG_H_

#ifdef HAK_SEEDED_BUG

#include <stdbool.h>
#include <stdint.h>

#include "allocator/base/compiler.h"

HAK_BEGIN_DECLARATIONS
struct hak_seeded_bug {
  uint32_t number;     // which one is on, set before the program has threads; 0: none
  uint64_t reached;    // how often its place was passed
  uint64_t triggered;  // how often that made a difference, as far as the place can tell
};

// Defined by the program (fuzz/seeded/seeded_bugs.c): it is nobody's state of the variants that it holds.
extern struct hak_seeded_bug hak_seeded_bug;
HAK_END_DECLARATIONS

// Not inlined and not instrumented: a fuzzer that is guided by coverage must not be guided to the bugs by their marks.
#ifdef __clang__
__attribute__((no_sanitize("coverage")))
#endif
__attribute__((noinline, unused)) static bool
hak_seeded_bug_here(uint32_t number, bool matters) {
  if (HAK_LIKELY(hak_seeded_bug.number != number)) return false;
  __atomic_fetch_add(&hak_seeded_bug.reached, 1, __ATOMIC_RELAXED);
  if (matters) __atomic_fetch_add(&hak_seeded_bug.triggered, 1, __ATOMIC_RELAXED);
  return true;
}

#define HAK_SEED_BUG(number) hak_seeded_bug_here((number), true)
#define HAK_SEED_BUG_IF(number, matters) hak_seeded_bug_here((number), (matters))

#else

// Whether a bug is on. The second form also says under which condition it matters, without && and ||, which would be seen in
// the coverage; the bug is on whether or not.
#define HAK_SEED_BUG(number) 0
#define HAK_SEED_BUG_IF(number, matters) 0

#endif

#endif  // ALLOCATOR_BASE_SEEDED_BUG_H_
