// SPDX-License-Identifier: Apache-2.0
//
// Runs the one misuse that argv[1] names, and says "survived" if nothing stopped it. --list names all.

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/death/misuse.h"

static struct misuse *misuses;

void misuse_add(struct misuse *misuse) {
  misuse->next = misuses;
  misuses = misuse;
}

void fail(const char *what) {
  fprintf(stderr, "death_program: %s\n", what);
  exit(3);
}

char *new_block(size_t size) {
  char *block = hak_malloc(size);
  EXPECT(block != NULL);
  memset(block, 'x', size);
  return opaque(block);
}

void use_blocks(size_t count, size_t size) {
  char **blocks = calloc(count, sizeof *blocks);
  for (size_t i = 0; i < count; i++) blocks[i] = new_block(size);
  for (size_t i = 0; i < count; i++) hak_free(blocks[i]);
  free(blocks);
}

void run_in_thread(void *(*body)(void *), void *argument) {
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, body, argument) == 0);
  EXPECT(pthread_join(thread, NULL) == 0);
}

void expect_whole_heap(void) {
  struct hak_misuse misuse;
  if (hak_check_heap(&misuse) == 0) return;
  fprintf(stderr, "hak_check_heap: %s: size class %u, offset %td\n", misuse.message, misuse.size_class, misuse.offset);
  abort();
}

int main(int count, char **arguments) {
  static const char *const kinds[] = {"misuse", "limit", "control"};
  if (count != 2) return 2;
  for (const struct misuse *misuse = misuses; misuse != NULL; misuse = misuse->next) {
    if (strcmp(arguments[1], "--list") == 0) {
      printf("%s %s %s\n", misuse->name, kinds[misuse->kind], misuse->options);
    } else if (strcmp(arguments[1], misuse->name) == 0) {
      misuse->body();
      puts("survived");
      return 0;
    }
  }
  return strcmp(arguments[1], "--list") == 0 ? 0 : 2;
}
