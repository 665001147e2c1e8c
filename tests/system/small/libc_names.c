// SPDX-License-Identifier: Apache-2.0
//
// Memory that passes between malloc's names, the C library's own (__libc_malloc …) and functions of the C library that allocate
// for their caller (strdup, getline, asprintf …): all of them must be one allocator.

#define _GNU_SOURCE
#include <malloc.h>

#include "check.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void *__libc_valloc(size_t size);
void *__libc_pvalloc(size_t size);
void __libc_free(void *pointer);

int main(void) {
  for (size_t size = 1; size < 200000; size += size / 3 + 1) {
    free_block(fill_block(__libc_malloc(size), size), size);
    __libc_free(allocate_block(size));
    void *pointer = __libc_calloc(size, 2);
    CHECK(pointer && ((char *)pointer)[2 * size - 1] == 0);
    pointer = realloc(pointer, 3 * size);
    CHECK(pointer && malloc_usable_size(pointer) >= 3 * size);
    pointer = __libc_realloc(pointer, size);
    CHECK(pointer && malloc_usable_size(pointer) >= size);
    free(pointer);
    pointer = __libc_memalign(128, size);
    CHECK(pointer && ((uintptr_t)pointer & 127) == 0);
    __libc_free(realloc(pointer, size * 2));
    pointer = __libc_valloc(size);
    CHECK(pointer && (uintptr_t)pointer % (size_t)sysconf(_SC_PAGESIZE) == 0);
    free(pointer);
    pointer = __libc_pvalloc(size);
    CHECK(pointer && malloc_usable_size(pointer) >= (size_t)sysconf(_SC_PAGESIZE));
    free(pointer);
    __libc_free(posix_memalign(&pointer, 64, size) == 0 ? pointer : NULL);
    __libc_free(reallocarray(strdup("text"), size, 2));
  }

  char *text = NULL;
  CHECK(asprintf(&text, "%s %d", "text", 42) == 7);
  free(realloc(text, 1000));
  char *line = malloc(1);
  size_t length = 1;
  FILE *file = fopen("/proc/self/maps", "r");
  CHECK(file && line);
  while (getline(&line, &length, file) > 0) CHECK(malloc_usable_size(line) >= strlen(line) + 1);
  CHECK(fclose(file) == 0);
  __libc_free(line);
  char *path = realpath("/usr/bin/../lib", NULL);
  CHECK(path);
  free(path);
  char *memory;
  size_t size;
  file = open_memstream(&memory, &size);
  CHECK(file);
  for (int i = 0; i < 10000; i++) CHECK(fprintf(file, "%d,", i) > 0);
  CHECK(fclose(file) == 0 && size == 48890);
  free(memory);
  puts("passed");
  return 0;
}
