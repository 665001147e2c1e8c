// SPDX-License-Identifier: Apache-2.0
//
// A fuzz target that ends in the way that the first byte of its input says, for the tests of the engines.

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static volatile uint8_t sink;

static int overflow_stack(volatile const uint8_t *data, int depth) {
  volatile uint8_t buffer[4096];
  if (depth < 0) return 0;
  buffer[depth % 4096] = data[0];
  return overflow_stack(buffer, depth + 1) + buffer[1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  switch (data[0]) {
    case 'a':
      abort();
    case 'e':
      exit(0);
    case 'h':
      sleep(100);
      break;
    case 'i':
      __builtin_trap();
    case 'o':
      return overflow_stack(data, 0) & 0;
    case 'r':
      sink = data[size];
      break;  // one byte behind the end: asan's
    case 's':
      *(volatile char *)8 = 1;
      break;
    case 't':
      raise(SIGTRAP);
      break;
  }
  return 0;
}
