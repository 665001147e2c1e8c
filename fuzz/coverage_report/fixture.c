// SPDX-License-Identifier: Apache-2.0
//
// Test program of coverage_report_test.py: what counts is in fixture.h. A function that calls fork is left by two processes,
// and llvm-cov subtracts what went one way to know what went the other: none of those is looked at.

#include "fuzz/coverage_report/fixture.h"

#include <sys/wait.h>

static void in_child(void (*body)(void)) {
  int status;
  pid_t child = fork();
  if (child == 0) body();
  waitpid(child, &status, 0);
}

int main(int argument_count, char **arguments) {
  (void)arguments;
  if (argument_count > 5) return never(argument_count);
#if FIXTURE_LEVEL == 1
  if (of_level_1() != 7) return 1;
#endif
  in_child(end_by_abort);
  in_child(end_by_exit);
  return 0;
}
