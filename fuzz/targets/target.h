// SPDX-License-Identifier: Apache-2.0
//
// What every target begins with.

#ifndef FUZZ_TARGETS_TARGET_H_
#define FUZZ_TARGETS_TARGET_H_

#include <stddef.h>
#include <stdint.h>

#include "fuzz/model/oracle.h"
#ifdef HAK_SEEDED_BUG
#include <stdlib.h>
#include <unistd.h>

#include "fuzz/seeded/seeded_bugs.h"
#endif

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef HAK_SEEDED_BUG
static void print_seeded_bug(void) { seeded_bug_print(STDERR_FILENO); }
#endif

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  oracle_initialize();
#ifdef HAK_SEEDED_BUG
  if (seeded_bug_choose() != NULL) atexit(print_seeded_bug);
#endif
  return 0;
}

#endif  // FUZZ_TARGETS_TARGET_H_
