// SPDX-License-Identifier: Apache-2.0

#include <errno.h>
#include <string.h>

#include "tests/death/misuse.h"

static const size_t sizes[] = {0,    1,     7,     15,    16,    17,    100,    111,     112,     1000,
                               4096, 30000, 32768, 32769, 65535, 65536, 100000, 2000000, 2097152, 6000000};

CONTROL(control_every_function, "every function at many sizes, every requested byte written") {
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    size_t size = sizes[i];
    char *block = new_block(size);
    EXPECT(hak_usable_size(block) >= size);
    hak_free_sized(block, size);
    block = hak_calloc(1, size);
    for (size_t j = 0; j < size; j++) EXPECT(block[j] == 0);
    memset(block, 'z', size);
    block = hak_reallocarray(block, 2, size + 1);
    EXPECT(block != NULL);
    memset(block, 'z', 2 * size + 2);
    hak_free(block);
    for (size_t alignment = 8; alignment <= 1 << 17; alignment *= 2) {
      void *aligned = NULL;
      EXPECT(hak_posix_memalign(&aligned, alignment, size) == 0 && (uintptr_t)aligned % alignment == 0);
      memset(aligned, 'z', size);
      hak_free(aligned);
      aligned = hak_aligned_alloc(alignment, size);
      memset(aligned, 'z', size);
      hak_free_aligned_sized(aligned, alignment, size);
      aligned = hak_memalign(alignment, size);
      memset(aligned, 'z', size);
      hak_free(aligned);
    }
    hak_free(memset(hak_valloc(size), 'z', size));
    hak_free(memset(hak_pvalloc(size), 'z', size));
  }
  hak_free(NULL);
  hak_free_sized(NULL, 10);
  hak_free_aligned_sized(NULL, 64, 10);
  EXPECT(hak_usable_size(NULL) == 0);
  EXPECT(hak_check_heap(NULL) == 0);
  hak_trim(0);
  EXPECT(hak_check_heap(NULL) == 0);
}
