// SPDX-License-Identifier: Apache-2.0
//
// Allocates before anything was set up: from .preinit_array (before any constructor of the program, and in a program
// that is linked dynamically before those of its libraries), from constructors of several priorities and from a
// library's constructor (early_library.c). The blocks must still be there in main, which frees them.

#include "check.h"

extern void *early_library_block(size_t *size);  // allocated in its constructor

#define STAGES 4
#define BLOCKS 200

static void *blocks[STAGES][BLOCKS];
static int stages_seen;

static size_t size_of(int i) { return (size_t)i * i + 1; }

static void allocate_in_stage(int stage) {
  for (int i = 0; i < BLOCKS; i++) {
    blocks[stage][i] = allocate_block(size_of(i));
    // realloc, calloc and aligned allocation must work this early too.
    void *other = calloc(3, size_of(i));
    CHECK(other && ((char *)other)[size_of(i)] == 0);
    other = realloc(other, 5 * size_of(i));
    CHECK(other);
    free(other);
    void *aligned = aligned_alloc(256, 512);
    CHECK(aligned && ((uintptr_t)aligned & 255) == 0);
    free(aligned);
  }
  stages_seen |= 1 << stage;
}

static void before_constructors(void) { allocate_in_stage(0); }
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = before_constructors;

__attribute__((constructor(101))) static void first_constructor(void) { allocate_in_stage(1); }
__attribute__((constructor)) static void last_constructor(void) { allocate_in_stage(2); }

int main(void) {
  allocate_in_stage(3);
  CHECK(stages_seen == 15);
  for (int stage = 0; stage < STAGES; stage++)
    for (int i = 0; i < BLOCKS; i++) free_block(blocks[stage][i], size_of(i));
  size_t size;
  void *block = early_library_block(&size);
  free_block(block, size);
  puts("passed");
  return 0;
}
