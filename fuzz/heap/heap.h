// SPDX-License-Identifier: Apache-2.0
//
// One variant of the allocator, as the fuzz targets see it: its public functions, a way back to the state at process start,
// and what only the allocator itself can tell. Each variant is the whole allocator once more, from the same sources, with
// memory of its own (heap_variant.c). Layer: heap.

#ifndef FUZZ_HEAP_HEAP_H_
#define FUZZ_HEAP_HEAP_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fuzz/heap/fake_memory.h"
#include "hakmem/misuse.h"

#ifdef __cplusplus
extern "C" {
#endif

// Logical threads of a heap.
#define HEAP_THREADS 4

struct hak_statistics;

// Where a block lies, in numbers that do not depend on addresses.
struct heap_place {
  unsigned size_class;  // 0 for a large block
  uint32_t run;         // number of the first slab of its run or span in the window
  uint32_t index;       // in its run
  size_t usable;        // bytes up to the next header, or to the end of the run or span
  size_t alignment;     // of every block of the class
  bool filled;          // in the Box: a free block whose bytes are looked at
};

struct heap_option {
  const char *name;
  const char *meaning;
  const uint32_t *value;
  uint32_t initial, least, greatest;
};

// What of the allocator's own memory its layers know, because it is in use or because they keep it for reuse.
struct heap_tables {
  size_t record_bytes;  // of metadata
  size_t mapped_bytes;  // of tables, those that metadata come from among them, as far as they count in held_table_bytes
};

// A free block that some list or quarantine of the allocator holds.
typedef void (*heap_visit)(void *context, const void *user, unsigned size_class);

struct heap {
  const char *name;
  unsigned checks_level;
  bool fills;  // the Box without a sanitizer: what is free or slack is filled, and looked at
  size_t slab_bytes;
  size_t superslab_bytes;
  size_t window_bytes;
  size_t small_max;

  // hakmem.h
  void *(*malloc)(size_t size);
  void *(*calloc)(size_t count, size_t size);
  void *(*realloc)(void *pointer, size_t size);
  void *(*reallocarray)(void *pointer, size_t count, size_t size);
  void (*free)(void *pointer);
  void (*free_sized)(void *pointer, size_t size);
  void (*free_aligned_sized)(void *pointer, size_t alignment, size_t size);
  void *(*aligned_alloc)(size_t alignment, size_t size);
  void *(*memalign)(size_t alignment, size_t size);
  int (*posix_memalign)(void **result, size_t alignment, size_t size);
  void *(*valloc)(size_t size);
  void *(*pvalloc)(size_t size);
  size_t (*usable_size)(const void *pointer);
  int (*trim)(size_t keep);
  int (*get_statistics)(struct hak_statistics *statistics, size_t size);
  int (*options_print)(int file_descriptor);
  hak_misuse_handler (*set_misuse_handler)(hak_misuse_handler handler);
  int (*check_heap)(struct hak_misuse *violation);

  // Back to the state of a process that has not allocated yet, with options in the form of HAKMEM_OPTIONS. The misuse
  // handler stays.
  void (*reset)(const char *options);
  struct fake_memory_state *memory;
  // The last one has no name.
  const struct heap_option *options;

  // Logical threads, 0 to 3, of which this thread plays one at a time; 0 after reset. A thread that ended begins anew when it
  // is next played; where it lingers, it goes on without a cache first, as in late destructors.
  // end_thread says whether it does, as it does not if it never had a cache.
  void (*play_thread)(unsigned thread);
  bool (*end_thread)(unsigned thread, bool lingers);
  // The same for real threads, after a reset. The calling thread begins, or begins anew; and it ends: whether it lingers then,
  // as it does not if it never had a cache.
  void (*begin_own_thread)(unsigned thread);
  bool (*end_own_thread)(bool lingers);

  // False where no block begins at an address.
  bool (*locate)(const void *user, struct heap_place *place);
  // Whether there is a slab of a class at an address, with a block there or not.
  bool (*in_class_slab)(const void *address);
  uint8_t *(*header)(const void *user);
  // Every free block that was carved, also in quarantine. Stops, and answers what is wrong, if a list
  // is not whole; NULL if all are.
  const char *(*visit_free)(heap_visit visit, void *context);
  // What the layers keep of the same things disagrees about; NULL where it does not.
  const char *(*check_structure)(void);
  struct heap_tables (*count_tables)(void);
  // A number that changes when anything of the allocator's state does: variables, tables and records, but not the memory in
  // which blocks lie.
  uint64_t (*digest)(void);
  // Memory of the window that the process has, if all purges worked; tables do not count. Where it is 0, a reset empties the
  // first superslab only, unless there are memory calls before: until then nothing else may be written to.
  size_t (*resident_bytes)(void);
  // For locks that are held at the end of a call: NULL if none is.
  const char *(*held_lock)(void);
};

// Each is linked as a library of its own: small slabs, and those of production. Of those with small slabs there are also ones
// whose threads are scheduled, under the same names.
const struct heap *heap_direct_small(void);
const struct heap *heap_box_small(void);
const struct heap *heap_direct(void);
const struct heap *heap_box(void);

#ifdef __cplusplus
}
#endif

#endif  // FUZZ_HEAP_HEAP_H_
