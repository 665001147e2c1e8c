// SPDX-License-Identifier: Apache-2.0
//
// Misuse of the heap, as hakmem reports it: what a handler set by hak_set_misuse_handler is given, and what hak_check_heap
// fills in. Part of hakmem/hakmem.h, for C11 and C++11 and later.

#ifndef HAKMEM_MISUSE_H_
#define HAKMEM_MISUSE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum hak_misuse_kind {
  HAK_MISUSE_NONE = 0,
  HAK_MISUSE_INVALID_POINTER = 1,      // no block was ever allocated here, as long as the memory has been in use
  HAK_MISUSE_INTERIOR_POINTER = 2,     // into a block or beside it, not to its start
  HAK_MISUSE_DOUBLE_FREE = 3,          // the block is free already
  HAK_MISUSE_USE_AFTER_FREE = 4,       // asked about a block that is free
  HAK_MISUSE_UNDERFLOW = 5,            // the byte before the block was overwritten, perhaps by its neighbour's overflow
  HAK_MISUSE_OVERFLOW = 6,             // a byte behind the requested size was overwritten
  HAK_MISUSE_NEXT_OVERWRITTEN = 7,     // the byte behind the block, perhaps by its neighbour's underflow
  HAK_MISUSE_WRITE_AFTER_FREE = 8,     // free memory was written to
  HAK_MISUSE_SIZE_MISMATCH = 9,        // the size given is not the one that was asked for
  HAK_MISUSE_ALIGNMENT_MISMATCH = 10,  // the same of the alignment
  HAK_MISUSE_FUNCTION_MISMATCH = 11,   // malloc and delete, new and delete[], and so on
  HAK_MISUSE_COUNTS = 12,              // a slab's own counts do not add up
};

// What the block is, as far as it is known.
enum hak_block_state {
  HAK_BLOCK_UNKNOWN = 0,      // there is no block
  HAK_BLOCK_LIVE = 1,         // allocated and not freed
  HAK_BLOCK_QUARANTINED = 2,  // freed a short time ago
  HAK_BLOCK_CACHED = 3,       // free, in a thread's list or in a chain
  HAK_BLOCK_FREE = 4,         // free, in its slab
  HAK_BLOCK_UNUSED = 5,       // free, and never allocated yet
};

struct hak_misuse {
  size_t size;  // of this struct, in bytes, as the library has it; fields are only ever added at the end
  enum hak_misuse_kind kind;
  enum hak_block_state state;
  const char *function;   // that found it: "free", "realloc", "malloc", …
  const char *message;    // the kind in words
  const void *pointer;    // that the function was given; for what was found in free memory, the address written to
  const void *block;      // the block that the pointer belongs to; NULL if none does
  ptrdiff_t offset;       // of the pointer in the block; of the first wrong byte, for kinds that have one
  size_t requested_size;  // of the block, as it was asked for; 0 where it is not known: allocating_thread is 0 too
  size_t usable_size;     // of the block, with what rounding up to its size class adds
  size_t given_size;      // for HAK_MISUSE_SIZE_MISMATCH and HAK_MISUSE_ALIGNMENT_MISMATCH: what the caller said, or
                          // SIZE_MAX - 1 where that was SIZE_MAX
  size_t expected_size;   // and what would have been right
  unsigned size_class;    // of the block; 0 for large ones
  uint32_t allocating_thread;  // kernel thread ids; 0 where it is not known
  uint32_t freeing_thread;
  // Return addresses, innermost first, with the option box_stacks.
  const void *const *allocation_stack;
  size_t allocation_frames;
  const void *const *free_stack;
  size_t free_frames;
};

// Called on the thread that found the misuse, with no lock held and while the heap is whole: it may call any hak_* function.
// The struct is the library's and valid during the call.
//
// Where the call is at fault, nothing was changed before. A handler that returns turns it into one that did nothing: free
// frees nothing, realloc and malloc_usable_size answer NULL and 0.
//
// Writes to free memory are found by calls that are not at fault, and that go on when the handler returns. What was written
// to is out of every list before the handler is called, and nothing finds it a second time: a block is as it was found, but
// for its header; memory in which no block is any more has been made free memory again. A handler that does not return, by
// longjmp, keeps such a block, or its slab, from being used. One that allocates or frees may be called again within itself,
// once for each other block, or other memory, that was written to.
typedef void (*hak_misuse_handler)(const struct hak_misuse *misuse);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // HAKMEM_MISUSE_H_
