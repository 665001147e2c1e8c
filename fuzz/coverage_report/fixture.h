// SPDX-License-Identifier: Apache-2.0
//
// A file whose coverage is known: compiled at two levels and run by coverage_report_test.py, which has the figures.

#ifndef FUZZ_COVERAGE_REPORT_FIXTURE_H_
#define FUZZ_COVERAGE_REPORT_FIXTURE_H_

#include <stdlib.h>
#include <unistd.h>

// Both levels have code in the same function; what it says depends on the level.
static int of_level(int number) {
#if FIXTURE_LEVEL == 0
  if (number > 0) return 1;
#else
  if (number > 5) {
    return 2;
  }
#endif
  return FIXTURE_LEVEL == 1 && number == 0 ? 3 : 4;
}

// Only one of the levels calls it.
static inline int of_level_1(void) {
  // A comment, which is no code.
  return 7;
}

static int never(int number) { return number > 7 ? 1 : 2; }

// What these count is lost unless the counters lie in the profile.
static void end_by_abort(void) {
  if (of_level(0) > 9) return;
  abort();
}

static void end_by_exit(void) {
  of_level(1);
  _exit(0);
}

#endif  // FUZZ_COVERAGE_REPORT_FIXTURE_H_
