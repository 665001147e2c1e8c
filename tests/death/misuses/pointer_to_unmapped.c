// SPDX-License-Identifier: Apache-2.0

#include <sys/mman.h>

#include "tests/death/misuse.h"

MISUSE(pointer_to_unmapped, "free of an address where nothing is mapped") {
  char *mapping = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(mapping != MAP_FAILED && munmap(mapping, 65536) == 0);
  hak_free(opaque(mapping));
}
