// SPDX-License-Identifier: Apache-2.0
//
// The language of the fuzz targets. An input is a header of 8 bytes and operations of 4 bytes each; every byte string is a
// valid program: what is missing of the header is 0, and what is left behind the last whole operation is ignored. Fixed
// width, so that a byte mutator that inserts, deletes or copies 4 bytes changes whole operations. Layer: op; calls nothing.

#ifndef FUZZ_OP_OP_H_
#define FUZZ_OP_OP_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OP_HEADER_BYTES 8
#define OP_BYTES 4
// Operations of one input that are looked at; with repetitions, executed ones.
#define OP_COUNT_MAX 256
#define OP_EXECUTED_MAX 1024
#define OP_INPUT_MAX (OP_HEADER_BYTES + OP_COUNT_MAX * OP_BYTES)
// Places for live blocks. An operation that allocates into a place that is in use frees what was there first.
#define OP_SLOTS 256
// Logical threads.
#define OP_THREADS 4

// What an operation does with its fields: slot; size, made of selector and delta; flags, 0 to 7.
enum op_kind {
  OP_MALLOC,         // slot = malloc(size)
  OP_CALLOC,         // slot = calloc(count, size / count) with the count of flags; see op_calloc_arguments
  OP_REALLOC,        // slot = realloc(slot, size); flags 7: size 0
  OP_REALLOCARRAY,   // the same with a product, as OP_CALLOC
  OP_ALIGNED_ALLOC,  // slot = aligned_alloc(alignment, size); for these three see op_alignment and op_aligned_size
  OP_POSIX_MEMALIGN,
  OP_MEMALIGN,
  OP_PAGE_ALLOC,  // slot = valloc(size), with odd flags pvalloc(size)
  OP_FREE,        // free(slot)
  OP_FREE_SIZED,  // by free_aligned_sized where the block has an alignment
  OP_FREE_RANGE,  // frees slot, slot + 1, ... as many as selector says, backwards with odd flags
  OP_USABLE_SIZE,
  OP_WRITE,          // fills slot anew
  OP_VERIFY,         // looks at the contents of every block
  OP_TRIM,           // trim(0), with odd flags trim(size)
  OP_STATISTICS,     // compares the statistics with the model
  OP_CHECK_HEAP,     // hak_check_heap
  OP_CLOCK,          // selector * 4 milliseconds pass
  OP_FAULT,          // which memory calls fail from now on; see op_fault
  OP_PURGE_MODE,     // flags: how purge leaves the memory
  OP_THREAD_SWITCH,  // the next operations are thread flags % OP_THREADS's
  OP_THREAD_EXIT,    // thread flags % OP_THREADS ends; it begins anew when it is switched to
  OP_MISUSE,         // misuse number selector % OP_MISUSE_KINDS of slot, with delta as its argument
  OP_REPEAT,         // the slot % 16 + 1 operations before this one are repeated selector times, each time with slots
                     // flags + 1 further on
  OP_KINDS,
};

enum op_misuse {
  OP_MISUSE_DOUBLE_FREE,       // of the block that was last freed from the slot; free, or another call, as flags say
  OP_MISUSE_FREE_MISALIGNED,   // the same of slot + 1..15
  OP_MISUSE_FREE_INTERIOR,     // of slot + a multiple of 16
  OP_MISUSE_FREE_FORGED,       // the same, after a header that looks right was written in front of it
  OP_MISUSE_FREE_FOREIGN,      // of a stack, a global, an unmapped, a non-canonical address: delta chooses
  OP_MISUSE_UNDERFLOW,         // the header byte is changed by delta; then the call, then the header is restored
  OP_MISUSE_OVERFLOW,          // the byte behind the requested size is; the same
  OP_MISUSE_WRITE_AFTER_FREE,  // a byte of the block that was last freed from the slot; stays changed if flags are odd
  OP_MISUSE_WRONG_SIZE,        // free_sized(slot, size + delta), with odd flags free_aligned_sized
  OP_MISUSE_WRONG_ALIGNMENT,   // free_aligned_sized(slot, another alignment, size)
  OP_MISUSE_REALLOC,           // realloc of a pointer as in the first five
  OP_MISUSE_USABLE_SIZE,       // malloc_usable_size of one
  OP_MISUSE_KINDS,
};

// What a misused pointer or block is given to: flags say so, for the first seven kinds of misuse.
enum op_call {
  OP_CALL_FREE,
  OP_CALL_FREE_SIZED,
  OP_CALL_FREE_ALIGNED_SIZED,
  OP_CALL_REALLOC,
  OP_CALL_REALLOC_TO_NOTHING,
  OP_CALL_REALLOCARRAY,
  OP_CALL_USABLE_SIZE,
  OP_CALL_CHECK_HEAP,  // of a damaged block; free otherwise
  OP_CALLS,
};

struct op {
  uint8_t kind;   // enum op_kind
  uint8_t flags;  // 0 to 7
  uint8_t slot;
  uint8_t selector;
  int8_t delta;
};

// From this value on, and so many, byte 5 of the header is for several superslabs in a row that are somebody else's.
#define OP_OCCUPIED_ROWS 24
#define OP_OCCUPIED_ROW_COUNT 8

// The header: how the heap is set up.
struct op_setup {
  uint32_t chain_kib;
  uint32_t pool_chains;
  uint32_t purge_delay_ms;
  uint32_t quarantine_blocks;  // of the Box; 0 makes the Box hand out what the direct variant does
  uint32_t thp;
  uint32_t box_scan;
  uint32_t address_limit_superslabs;  // 0: none
  uint32_t occupied;                  // every so many-eth superslab of the window is somebody else's; 0: none
  uint32_t occupied_more;             // and so many in front of it
  uint32_t schedule_seed;             // for the threads target
  uint32_t schedule_points;
};

// How memory calls fail. kinds is a mask of enum fake_memory_call (fuzz/heap/fake_memory.h).
struct op_fault {
  unsigned kinds;
  size_t after;
  size_t count;
};

struct op_setup op_read_setup(const uint8_t *data, size_t size);
// How many whole operations there are; at most OP_COUNT_MAX.
size_t op_count(size_t size);
// Operation number index, less than op_count.
struct op op_read(const uint8_t *data, size_t index);
void op_write(const struct op *op, uint8_t bytes[OP_BYTES]);

// Sizes. A boundary of the allocator, by selector, plus delta, as far as that does not wrap. Boundaries are what each class
// serves at most, powers of two, what runs and spans end at in either geometry, and sizes that nobody can have.
size_t op_size(uint8_t selector, int8_t delta);
size_t op_size_boundaries(void);
// The boundary that is nearest to a size, as a selector: for who makes programs.
uint8_t op_selector_of(size_t size);
// count * size is about the size of the operation, or overflows.
void op_calloc_arguments(const struct op *op, size_t *count, size_t *size);
// An alignment, also ones that are refused: the lower five bits of delta choose; the upper three are the delta of the size.
size_t op_alignment(const struct op *op);
size_t op_aligned_size(const struct op *op);
struct op_fault op_fault(const struct op *op);

// What an operation asks for, resolved once for whoever executes or prints it. A field that its kind does not use is 0.
struct op_arguments {
  size_t size;   // malloc, realloc, aligned ones: the size; calloc, reallocarray: of one element; trim: what to keep
  size_t count;  // calloc, reallocarray: elements; free range: slots
  size_t bytes;  // what is asked for in all: size or count * size; SIZE_MAX if that overflows
  size_t alignment;  // of the three that have one as an argument
  bool overflows;    // count * size does
  bool backwards;    // free range: from the last slot to the first
  bool whole_pages;  // page alloc: pvalloc, otherwise valloc
  uint8_t thread;    // thread switch, thread exit
  uint8_t purge_mode;
  uint8_t misuse;  // enum op_misuse
  // Misuse: the same, but for the kinds realloc and usable_size the one of the first five whose pointer they get,
  uint8_t pointer;
  uint8_t call;  // what gets it, enum op_call,
  int8_t delta;  // and its argument.
  uint32_t milliseconds;
  struct op_fault fault;
};

struct op_arguments op_resolve(const struct op *op);
// The slot that a free range frees in step i, less than its count.
uint8_t op_range_slot(const struct op *op, const struct op_arguments *arguments, size_t i);

// The operations of an input in the order in which they are executed, repetitions unrolled, at most OP_EXECUTED_MAX:
//     op_cursor_begin(&cursor, data, size);
//     while (op_next(&cursor, &op)) ... op_resolve(&op) ...
// The slots are those of the repetition. OP_REPEAT itself is never handed out: repeats among the operations that another
// one repeats are left out there.
struct op_cursor {
  // To read: where the operation that was handed out last lies in the input, and its repetition, from 1 on; 0: itself.
  size_t index;
  unsigned round;
  // How many were handed out.
  size_t executed;

  const uint8_t *data;
  size_t count, next;
  // The operations that are being repeated; inactive if rounds is 0.
  size_t first, end, position;
  unsigned rounds, shift;
};

void op_cursor_begin(struct op_cursor *cursor, const uint8_t *data, size_t size);
bool op_next(struct op_cursor *cursor, struct op *op);

const char *op_kind_name(unsigned kind);
const char *op_misuse_name(unsigned kind);
const char *op_call_name(unsigned call);

#ifdef __cplusplus
}
#endif

#endif  // FUZZ_OP_OP_H_
