// SPDX-License-Identifier: Apache-2.0
//
// The process has as many mappings as the kernel allows. realloc of a large block, for which pages would be moved, still works
// where memory is mapped already, and fails with ENOMEM where none can be; nothing is lost.

#include <sys/mman.h>

#include "check.h"

#define MIB ((size_t)1 << 20)
#define BLOCK_BYTES (8 * MIB - 16)
#define MAPPINGS_MAX 1000000

static void check_contents(const unsigned char *block, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) CHECK(block[i] == 1);
}

int main(void) {
  unsigned char *block = malloc(BLOCK_BYTES);
  CHECK(block != NULL);
  memset(block, 1, BLOCK_BYTES);
  void *between = malloc(3 * MIB), *room = malloc(28 * MIB), *behind = malloc(3 * MIB);
  CHECK(between != NULL && room != NULL && behind != NULL);
  memset(room, 2, 28 * MIB);
  free(room);
  // Every other page with another protection, until the kernel refuses.
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *pages = mmap(NULL, MAPPINGS_MAX * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(pages != MAP_FAILED);
  size_t count = 0;
  while (count < MAPPINGS_MAX && mprotect(pages + count * page, page, PROT_READ) == 0) count += 2;
  CHECK(count < MAPPINGS_MAX && errno == ENOMEM);

  unsigned char *larger = realloc(block, 20 * MIB);
  CHECK(larger != NULL || errno == ENOMEM);
  check_contents(larger != NULL ? larger : block, BLOCK_BYTES);
  if (larger != NULL) block = larger;
  // Small blocks come from what is mapped, or not at all.
  for (int i = 0; i < 100000; i++) {
    errno = 0;
    void *small = malloc(100);
    CHECK(small != NULL || errno == ENOMEM);
    if (i % 3 == 0) free(small);
  }
  CHECK(munmap(pages, MAPPINGS_MAX * page) == 0);
  larger = realloc(block, 60 * MIB);
  CHECK(larger != NULL);
  check_contents(larger, BLOCK_BYTES);
  free(larger);
  puts("passed");
  return 0;
}
