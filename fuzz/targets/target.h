// SPDX-License-Identifier: Apache-2.0
//
// What every target begins with.

#ifndef FUZZ_TARGETS_TARGET_H_
#define FUZZ_TARGETS_TARGET_H_

#include <stddef.h>
#include <stdint.h>

#include "fuzz/model/oracle.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  oracle_initialize();
  return 0;
}

#endif  // FUZZ_TARGETS_TARGET_H_
