// SPDX-License-Identifier: Apache-2.0
//
// What glibc's functions that report about the heap say: their figures add up, and follow what is allocated.

#include <malloc.h>

#include "check.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#define MIB ((size_t)1 << 20)

static size_t number_after(const char *text, const char *name) {
  const char *found = strstr(text, name);
  CHECK(found != NULL);
  return strtoul(found + strlen(name), NULL, 10);
}

int main(void) {
  static void *blocks[2000];
  struct mallinfo2 before = mallinfo2();
  for (int i = 0; i < 2000; i++) CHECK((blocks[i] = malloc(i % 100 == 0 ? 300000 : 1000)) != NULL);
  struct mallinfo2 full = mallinfo2();
  CHECK(full.arena == full.uordblks + full.fordblks && full.hblks == 0 && full.hblkhd == 0);
  size_t held = 20 * 300000 + 1980 * 1000;
  CHECK(full.uordblks - before.uordblks >= held && full.uordblks - before.uordblks < held + held / 4);
  struct mallinfo narrow = mallinfo();
  CHECK((size_t)narrow.uordblks == full.uordblks && (size_t)narrow.arena == full.arena);
  char text[2000] = {0};
  FILE *stream = fmemopen(text, sizeof text - 1, "w");
  CHECK(stream != NULL && malloc_info(0, stream) == 0 && fclose(stream) == 0);
  size_t live = number_after(text, "type=\"live\" size=\""), all = number_after(text, "type=\"current\" size=\"");
  CHECK(live >= held && live < held + held / 4 + MIB && all >= live);
  errno = 0;
  CHECK(malloc_info(1, stdout) == -1 && errno == EINVAL);
  for (int i = 0; i < 2000; i++) free(blocks[i]);
  struct mallinfo2 empty = mallinfo2();
  CHECK(empty.uordblks < before.uordblks + MIB && empty.keepcost > 0 && empty.ordblks > 0);
  CHECK(malloc_trim(0) == 1);
  CHECK(mallinfo2().keepcost == 0);
  // Accepted, without effect; what does not exist is refused.
  CHECK(mallopt(M_MMAP_THRESHOLD, 65536) == 1 && mallopt(M_ARENA_MAX, 2) == 1 && mallopt(12345, 0) == 0);
  puts("passed");
  return 0;
}
