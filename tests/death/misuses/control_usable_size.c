// SPDX-License-Identifier: Apache-2.0

#include <string.h>

#include "tests/death/misuse.h"

CONTROL(control_usable_size, "every byte that malloc_usable_size allows written") {
  for (size_t size = 1; size < 3000000; size += size / 7 + 1) {
    char *block = hak_malloc(size);
    memset(block, 'z', hak_usable_size(block));
    hak_free(block);
  }
  hak_trim(0);
  EXPECT(hak_check_heap(NULL) == 0);
}
