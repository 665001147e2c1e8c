// SPDX-License-Identifier: Apache-2.0
//
// A C program that allocates with malloc, and asks hakmem what it holds: it is linked with malloc = "@hakmem//:malloc".

#include <hakmem/hakmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 10000

static size_t live_bytes(void) {
  struct hak_statistics statistics;
  return hak_get_statistics(&statistics, sizeof statistics) == 0 ? statistics.live_bytes : 0;
}

int main(void) {
  static char *words[WORDS];
  size_t before = live_bytes();
  size_t asked = 0;
  for (int i = 0; i < WORDS; i++) {
    char text[32];
    size_t size = (size_t)snprintf(text, sizeof text, "word %d", i) + 1;
    words[i] = malloc(size);
    if (words[i] == NULL) return 1;
    memcpy(words[i], text, size);
    asked += size;
  }
  size_t after = live_bytes();
  int wrong = strcmp(words[WORDS - 1], "word 9999") != 0;
  for (int i = 0; i < WORDS; i++) free(words[i]);

  printf("malloc: %s\n", after - before >= asked ? "hakmem" : "another");
  printf("linked: %s\n", hak_build_info());
  return wrong;
}
