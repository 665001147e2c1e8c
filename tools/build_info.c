// SPDX-License-Identifier: Apache-2.0
//
// Prints what was built: the one line of hak_build_info(), and each of its fields on a line of its own.

#include <stdio.h>
#include <string.h>

#include "hakmem/hakmem.h"

int main(void) {
  const char *field = hak_build_info();
  printf("%s\n", field);
  // "hakmem VERSION name=value name=value …": the first two words belong together. A value has no spaces.
  for (const char *end; *field; field = end + (*end == ' ')) {
    end = field + strcspn(field, " ");
    const char *value = memchr(field, '=', (size_t)(end - field));
    if (value) printf("  %-14.*s %.*s\n", (int)(value - field), field, (int)(end - value - 1), value + 1);
  }
  return 0;
}
