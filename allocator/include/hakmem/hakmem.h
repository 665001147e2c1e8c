// SPDX-License-Identifier: Apache-2.0
//
// hakmem: a general-purpose memory allocator for 64-bit Linux. The public interface, for C11 and C++11 and later.
//
// Every function may be called from any thread at any time, also before constructors have run, from destructors of
// thread-local objects and from atexit handlers, and in a child after fork(). None may be called from a signal handler
// that interrupted one of them on the same thread.
//
// Blocks belong to the process, not to a thread: any thread may free what another one allocated. A block that one
// hak_* function returned is freed by hak_free, hak_free_sized, hak_free_aligned_sized or hak_realloc. Where the program
// is linked with //:malloc or preloads libhakmem.so, malloc and free are the same functions under their usual names.
//
// Sizes and alignments are in bytes. Every block is aligned to at least 16 bytes.

#ifndef HAKMEM_HAKMEM_H_
#define HAKMEM_HAKMEM_H_

#include <stddef.h>
#include <stdint.h>

#include "hakmem/misuse.h"

#ifdef HAK_PREFIX
#include "hakmem/prefix.h"
#endif

#ifdef __cplusplus
#define HAK_NOTHROW noexcept
extern "C" {
#else
#define HAK_NOTHROW __attribute__((nothrow))
#endif

#define HAK_VERSION_MAJOR 0
#define HAK_VERSION_MINOR 1
#define HAK_VERSION_PATCH 0

// Every allocating function below returns NULL and sets errno to ENOMEM if the memory cannot be had or the size is
// greater than PTRDIFF_MAX; a failed call changes nothing. A size of 0 gives a block of its own that can be freed.

// Allocates size bytes, not initialised.
void *hak_malloc(size_t size) HAK_NOTHROW __attribute__((malloc, warn_unused_result));

// Allocates count * size bytes, all zero. ENOMEM if the product overflows.
void *hak_calloc(size_t count, size_t size) HAK_NOTHROW __attribute__((malloc, warn_unused_result));

// Changes the size of a block; the contents up to the smaller of the two sizes are kept. The old pointer is invalid
// unless NULL is returned with errno ENOMEM, in which case the block is as it was. hak_realloc(NULL, n) is hak_malloc(n).
// hak_realloc(pointer, 0) frees the block and returns NULL, as glibc's does. The result is aligned to 16 bytes.
void *hak_realloc(void *pointer, size_t size) HAK_NOTHROW __attribute__((warn_unused_result));

// hak_realloc(pointer, count * size); NULL with ENOMEM, and the block as it was, if the product overflows.
void *hak_reallocarray(void *pointer, size_t count, size_t size) HAK_NOTHROW __attribute__((warn_unused_result));

// Frees a block. NULL is ignored. errno is kept.
void hak_free(void *pointer) HAK_NOTHROW;

// Frees a block whose size the caller knows: size is what was asked of malloc, calloc or realloc. NULL is ignored.
// Checks level 2 (Box) reports a wrong size or alignment, also one above 16 that was asked for; the others do not look at them.
void hak_free_sized(void *pointer, size_t size) HAK_NOTHROW;

// The same for a block from hak_aligned_alloc (or posix_memalign, memalign): alignment and size as asked for there, memalign's
// alignment as it was rounded up. Alignments up to 16, which every block has, are all the same.
void hak_free_aligned_sized(void *pointer, size_t alignment, size_t size) HAK_NOTHROW;

// Allocates size bytes aligned to alignment, a power of two; anything else gives NULL and EINVAL. The size need not be
// a multiple of the alignment.
void *hak_aligned_alloc(size_t alignment, size_t size) HAK_NOTHROW __attribute__((malloc, warn_unused_result));

// The same with memalign's rule: an alignment that is no power of two is rounded up to the next one.
void *hak_memalign(size_t alignment, size_t size) HAK_NOTHROW __attribute__((malloc, warn_unused_result));

// POSIX: stores the block in *result and returns 0, or returns EINVAL (alignment not a power of two or not a multiple of
// sizeof(void *)) or ENOMEM and leaves *result as it was. errno is kept.
int hak_posix_memalign(void **result, size_t alignment, size_t size) HAK_NOTHROW;

// Allocates size bytes aligned to a page; hak_pvalloc also rounds the size up to whole pages (at least one).
void *hak_valloc(size_t size) HAK_NOTHROW __attribute__((malloc, warn_unused_result));
void *hak_pvalloc(size_t size) HAK_NOTHROW __attribute__((malloc, warn_unused_result));

// How many bytes of the block may be used: at least what was asked for; exactly that at checks level 2 (Box). 0 for NULL.
size_t hak_usable_size(const void *pointer) HAK_NOTHROW;

// Gives free memory back to the operating system at once: the calling thread's cache, the shared pool and every free
// page run. keep bytes of free memory may stay. Other threads' caches stay theirs. Returns 1 if any memory was given
// back, 0 if not. errno is kept.
int hak_trim(size_t keep) HAK_NOTHROW;

// Statistics. A figure is a snapshot: exact while no other thread allocates or frees, otherwise approximate.
// For every class, blocks_carved = blocks_live + blocks_cached + blocks_free, where cached blocks lie in thread caches and
// in the shared pool's chains, and free ones in slabs.
#define HAK_STATISTICS_VERSION 1
#define HAK_STATISTICS_CLASSES 64

struct hak_class_statistics {
  size_t block_size;     // bytes from one block to the next; usable are block_size - 1. 0: no such class
  size_t alignment;      // of every block of the class
  size_t blocks_carved;  // blocks that exist in the class's slabs
  size_t blocks_live;    // allocated and not freed
  size_t blocks_cached;
  size_t blocks_free;
  size_t slab_bytes;  // memory in the class's slabs
};

struct hak_statistics {
  uint32_t version;  // HAK_STATISTICS_VERSION of the library
  uint32_t classes;  // entries of by_class that are in use
  uint32_t threads;  // threads with a cache
  uint32_t reserved;
  size_t live_bytes;  // usable bytes of all live blocks: small_live_bytes + large_live_bytes
  size_t small_live_bytes;
  size_t large_live_bytes;
  size_t large_live_blocks;
  size_t cached_bytes;     // bytes of blocks in thread caches and in the shared pool's chains
  size_t free_bytes;       // bytes of free blocks in slabs
  size_t slab_bytes;       // memory in the slabs of all classes
  size_t large_bytes;      // memory in runs and spans of large blocks
  size_t dirty_bytes;      // free page runs that have not been given back yet
  size_t committed_bytes;  // slab_bytes + large_bytes + dirty_bytes: the most that blocks can hold resident
  size_t mapped_bytes;     // superslabs mapped readable and writable, committed or not
  size_t metadata_bytes;   // the allocator's records: of superslabs, slabs and threads
  size_t purged_bytes;     // given back to the operating system since the start, in all
  size_t system_calls;     // for memory, since the start
  struct hak_class_statistics by_class[HAK_STATISTICS_CLASSES];
};

// Fills *statistics, of which size bytes are known to the caller (sizeof *statistics): a newer library fills no more
// than that. Returns 0, or EINVAL if statistics is NULL or size is less than 16. errno is kept. Does not allocate.
int hak_get_statistics(struct hak_statistics *statistics, size_t size) HAK_NOTHROW;

// Writes the same figures to a file descriptor as one JSON object. Returns 0, or the errno of a failed write.
// Does not allocate.
int hak_statistics_print(int file_descriptor) HAK_NOTHROW;

// Writes every option of HAKMEM_OPTIONS (name, value, default, range, meaning) to a file descriptor.
// Returns 0, or the errno of a failed write. Does not allocate.
int hak_options_print(int file_descriptor) HAK_NOTHROW;

// Sets what is called when misuse of the heap is found (struct hak_misuse, in hakmem/misuse.h), and returns what was set
// before. NULL, as at the start: the report is written to stderr, and the process aborts. How much is found depends on the
// checks level: docs/checks.md.
hak_misuse_handler hak_set_misuse_handler(hak_misuse_handler handler) HAK_NOTHROW;

// Looks at every block and every slab. Returns 0 if all is well; otherwise 1, and *violation (which may be NULL) says what
// is wrong first, until the next hak_* call of this thread. Calls no handler, changes nothing and does not allocate. Other
// threads must not allocate or free meanwhile. At checks level 2 (Box) it finds what a call would; at the others only
// overwritten headers and lists.
int hak_check_heap(struct hak_misuse *violation) HAK_NOTHROW;

// What was built, as "hakmem 0.1.0 variant=direct checks=0 compiler=… optimisation=… lto=… tls=…". A constant string.
const char *hak_build_info(void) HAK_NOTHROW __attribute__((const));

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // HAKMEM_HAKMEM_H_
