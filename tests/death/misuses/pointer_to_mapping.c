// SPDX-License-Identifier: Apache-2.0

#include <sys/mman.h>

#include "tests/death/misuse.h"

MISUSE(pointer_to_mapping, "free of memory from mmap") {
  char *mapping = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(mapping != MAP_FAILED);
  hak_free(new_block(100));
  hak_free(opaque(mapping));
}
