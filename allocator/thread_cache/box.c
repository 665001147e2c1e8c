// SPDX-License-Identifier: Apache-2.0
//
// The checks of the Box, and the report. Layer: thread_cache; calls os, reads the registry. No lock.
// Test: tests/unit/box_test.cc.

#include "allocator/thread_cache/box.h"

#include "allocator/base/atomics.h"
#include "allocator/base/size_class.h"
#include "allocator/os/os.h"
#include "allocator/os/text.h"
#include "allocator/page_arena/registry.h"

static const char *const misuse_names[] = {
    [MISUSE_INVALID_POINTER] = "not a pointer that hakmem returned",
    [MISUSE_INTERIOR_POINTER] = "a pointer into a block, not to its start",
    [MISUSE_DOUBLE_FREE] = "the block is free already (double free)",
    [MISUSE_HEADER_OVERWRITTEN] = "the byte before the block was overwritten (underflow, or overflow of its neighbour)",
    [MISUSE_FREE_LIST_CORRUPTED] = "a free block was written to (use after free)",
};

HAK_COLD void misuse_report(enum misuse kind, const char *function, const void *pointer) {
  struct text text;
  text_begin(&text, HAK_STANDARD_ERROR);
  text_string(&text, "hakmem: ");
  text_string(&text, function);
  text_string(&text, "(");
  text_hexadecimal(&text, (uintptr_t)pointer);
  text_string(&text, "): ");
  text_string(&text, misuse_names[kind]);
  text_string(&text, "\n");
  text_end(&text);
  os_abort();
}

// Whether a block of the class's run that holds the address begins there.
static bool begins_block(unsigned size_class, const struct block *block) {
  uintptr_t address = (uintptr_t)block;
  const struct slab *run = registry_find_run(address);
  if (run == NULL || run->size_class != size_class) return false;
  uintptr_t first = run->address + run->first_offset;
  if (address < first) return false;
  uint64_t offset = address - first;
  uint64_t number = offset * size_classes[size_class].reciprocal >> HAK_RECIPROCAL_SHIFT;
  return number * size_classes[size_class].stride == offset && number < atomic_read_relaxed(&run->carved);
}

HAK_COLD bool box_check_push(unsigned size_class, struct block *block) {
  if (!begins_block(size_class, block)) {
    misuse_report(MISUSE_INTERIOR_POINTER, "free", block);
    return false;
  }
  uint8_t header = *block_header(block);
  if (header == block_header_live(size_class)) return true;
  bool is_free = header == block_header_free(size_class);
  misuse_report(is_free ? MISUSE_DOUBLE_FREE : MISUSE_HEADER_OVERWRITTEN, "free", block);
  return false;
}

HAK_COLD void box_check_pop(unsigned size_class, struct block *block) {
  bool whole = begins_block(size_class, block) && *block_header(block) == block_header_free(size_class) &&
               (block->next == NULL || begins_block(size_class, block->next));
  if (!whole) misuse_report(MISUSE_FREE_LIST_CORRUPTED, "malloc", block);
}
