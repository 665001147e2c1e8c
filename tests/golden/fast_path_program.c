// SPDX-License-Identifier: Apache-2.0
//
// A program with malloc and free linked in, for the golden test to disassemble: there the linker knows where the
// thread-local data lies, which it does not in the shared library.

#include <stdio.h>
#include <stdlib.h>

#include "hakmem/hakmem.h"

int main(void) {
  void *volatile block = malloc(100);
  free(block);
  puts(hak_build_info());
  return 0;
}
