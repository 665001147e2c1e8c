// SPDX-License-Identifier: Apache-2.0
//
// Writes to a block after it was freed. Under AddressSanitizer malloc must be the sanitizer's, which reports it.

#include <stdlib.h>

int main(void) {
  char *volatile block = malloc(100);
  if (block == NULL) return 1;
  free(block);
  block[10] = 1;
  return 0;
}
