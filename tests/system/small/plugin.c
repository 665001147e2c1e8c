// SPDX-License-Identifier: Apache-2.0
//
// A library to be loaded at run time: allocates in its constructor and frees in its destructor, has thread-local data, and
// calls malloc and its relatives on behalf of the program that loaded it.

#include "check.h"

int plugin_work(void);
void *plugin_allocate(size_t size);
void plugin_free(void *pointer);

void *__libc_malloc(size_t size);
void __libc_free(void *pointer);

static void *from_constructor[50];
static __thread char buffer[64];

__attribute__((constructor)) static void load(void) {
  for (size_t i = 0; i < 50; i++) from_constructor[i] = allocate_block(i * 997 + 1);
}

__attribute__((destructor)) static void unload(void) {
  for (size_t i = 0; i < 50; i++) free_block(from_constructor[i], i * 997 + 1);
}

// Allocates, resizes and frees within the library. Returns a sum that does not depend on the allocator.
int plugin_work(void) {
  int sum = 0;
  for (size_t i = 1; i < 400; i++) {
    snprintf(buffer, sizeof buffer, "%zu", i * i);
    char *text = malloc(strlen(buffer) + 1);
    CHECK(text);
    strcpy(text, buffer);
    text = realloc(text, i * 50 + 16);
    CHECK(text && strcmp(text, buffer) == 0);
    sum += text[0];
    free(text);
    void *block = __libc_malloc(i * 10);
    CHECK(block);
    __libc_free(fill_block(block, i * 10));
    void *zero = calloc(i, 3);
    CHECK(zero && ((char *)zero)[i] == 0);
    free(zero);
  }
  return sum;
}

void *plugin_allocate(size_t size) { return allocate_block(size); }
void plugin_free(void *pointer) { free(pointer); }
