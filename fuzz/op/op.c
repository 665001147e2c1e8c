// SPDX-License-Identifier: Apache-2.0
//
// How the bytes of an input become operations, sizes and a set-up. Owns the encoding and the table of sizes; what an
// operation then asks for is resolved in op_resolve.c. Layer: op; calls nothing, allocates nothing, has no state.
// Test: op_test.cc.

#include "fuzz/op/op.h"

#include <assert.h>

#include "allocator/base/size_class_table.h"

// ---- Operations: kind in the lower five bits of the first byte and flags in the others, slot, selector, delta

#define KIND_BITS 5
#define KIND_CODES (1 << KIND_BITS)

static_assert(OP_KINDS <= KIND_CODES, "a kind has five bits");

// What the codes mean that are left over: what there should be more of.
static const uint8_t spare_kinds[] = {OP_MALLOC, OP_FREE,   OP_REALLOC, OP_CALLOC,
                                      OP_MALLOC, OP_REPEAT, OP_FREE,    OP_ALIGNED_ALLOC};

static_assert(OP_KINDS + sizeof(spare_kinds) == KIND_CODES, "every code means something");

size_t op_count(size_t size) {
  if (size < OP_HEADER_BYTES) return 0;
  size_t count = (size - OP_HEADER_BYTES) / OP_BYTES;
  return count < OP_COUNT_MAX ? count : OP_COUNT_MAX;
}

struct op op_read(const uint8_t *data, size_t index) {
  const uint8_t *bytes = data + OP_HEADER_BYTES + index * OP_BYTES;
  unsigned code = bytes[0] % KIND_CODES;
  return (struct op){
      .kind = code < OP_KINDS ? (uint8_t)code : spare_kinds[code - OP_KINDS],
      .flags = bytes[0] >> KIND_BITS,
      .slot = bytes[1],
      .selector = bytes[2],
      .delta = (int8_t)bytes[3],
  };
}

void op_write(const struct op *op, uint8_t bytes[OP_BYTES]) {
  bytes[0] = (uint8_t)(op->kind % KIND_CODES | op->flags << KIND_BITS);
  bytes[1] = op->slot;
  bytes[2] = op->selector;
  bytes[3] = (uint8_t)op->delta;
}

// ---- Sizes

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)
// Slabs and superslabs of the production geometry and of the small one.
#define SLAB(n) ((n) * KIB(64))
#define SUPERSLAB(n) ((n) * MIB(2))
#define SMALL_SLAB(n) ((n) * KIB(8))
#define SMALL_SUPERSLAB(n) ((n) * KIB(256))
// The Box puts so many bytes around a large block.
#define GUARDS 65

#define CLASS_MAXIMUM(index, stride, ...) (stride) - 1,
// The maximum once more for classes up to 1 KiB; for the others the least that is too much for them.
#define CLASS_MAXIMUM_AGAIN(index, stride, ...) (stride) <= 1040 ? (stride) - 1 : (stride),

// Exactly one for each value of a selector, so that all are equally likely, and small ones are there more than once.
static const size_t boundaries[] = {
    // clang-format off
    HAK_CLASS_TABLE(CLASS_MAXIMUM)
    HAK_CLASS_TABLE(CLASS_MAXIMUM_AGAIN)
    // What programs ask for.
    0, 0, 8, 8, 10, 12, 15, 16, 16, 20, 24, 24, 28, 31, 32, 32, 36, 40, 40, 44, 47, 48, 48, 52, 56, 56, 60, 63, 64, 64,
    72, 80, 88, 96, 100, 104, 112, 120, 127, 136, 150, 160, 168, 176, 192, 200, 224, 250, 256, 288, 300, 320, 400, 480,
    600, 720, 800, 1000, 1200, 1500,
    // Powers of two.
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, KIB(1), KIB(2), KIB(4), KIB(8), KIB(16), HAK_SMALL_MAX, KIB(64), KIB(128),
    KIB(256), KIB(512), MIB(1), MIB(2), MIB(4), MIB(8), MIB(16), MIB(32), MIB(64), MIB(128), MIB(512), MIB(2048),
    (size_t)1 << 32, (size_t)1 << 36, (size_t)1 << 40, (size_t)1 << 47, (size_t)1 << 48, (size_t)1 << 62,
    (size_t)1 << 63,
    // Where runs end, without and with the Box.
    SLAB(3), SLAB(5), SLAB(6), SLAB(7), SLAB(12), SLAB(15), SLAB(17), SLAB(24), SLAB(31), SLAB(33),
    SLAB(1) - GUARDS, SLAB(2) - GUARDS, SLAB(16) - GUARDS, SLAB(31) - GUARDS,
    SMALL_SLAB(3), SMALL_SLAB(5), SMALL_SLAB(6), SMALL_SLAB(7), SMALL_SLAB(15), SMALL_SLAB(17), SMALL_SLAB(31),
    SMALL_SLAB(1) - GUARDS, SMALL_SLAB(2) - GUARDS, SMALL_SLAB(16) - GUARDS, SMALL_SLAB(31) - GUARDS,
    // Where spans do. Half a superslab and twice one are powers of two.
    SUPERSLAB(1) + SUPERSLAB(1) / 2, SUPERSLAB(3), SUPERSLAB(5), SUPERSLAB(1) - GUARDS, SUPERSLAB(2) - GUARDS,
    SUPERSLAB(3) - GUARDS, SMALL_SUPERSLAB(1) + SMALL_SUPERSLAB(1) / 2, SMALL_SUPERSLAB(3), SMALL_SUPERSLAB(5),
    SMALL_SUPERSLAB(1) - GUARDS, SMALL_SUPERSLAB(2) - GUARDS, SMALL_SUPERSLAB(3) - GUARDS,
    // What nobody can have.
    ((size_t)1 << 36) - SUPERSLAB(1), ((size_t)1 << 40) - SUPERSLAB(1), PTRDIFF_MAX, PTRDIFF_MAX - 15,
    (size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 16, SIZE_MAX - 64, SIZE_MAX - KIB(4) + 1,
    SIZE_MAX - SLAB(1) + 1, SIZE_MAX - SUPERSLAB(1) + 1,
    // clang-format on
};

#define BOUNDARIES (sizeof(boundaries) / sizeof(boundaries[0]))
static_assert(BOUNDARIES == UINT8_MAX + 1, "one boundary for each selector: change the list of what programs ask for");

size_t op_size_boundaries(void) { return BOUNDARIES; }

static size_t add_without_wrapping(size_t size, int delta) {
  if (delta >= 0) return size > SIZE_MAX - (size_t)delta ? SIZE_MAX : size + (size_t)delta;
  size_t less = (size_t)-delta;
  return size < less ? 0 : size - less;
}

size_t op_size(uint8_t selector, int8_t delta) { return add_without_wrapping(boundaries[selector], delta); }

uint8_t op_selector_of(size_t size) {
  size_t nearest = 0, least = SIZE_MAX;
  for (size_t i = 0; i < BOUNDARIES; i++) {
    size_t distance = boundaries[i] > size ? boundaries[i] - size : size - boundaries[i];
    if (distance < least) {
      least = distance;
      nearest = i;
    }
  }
  return (uint8_t)nearest;
}

void op_calloc_arguments(const struct op *op, size_t *count, size_t *size) {
  size_t bytes = op_size(op->selector, op->delta);
  switch (op->flags % 8) {
    case 0:
      *count = 1;
      break;
    case 1:
      *count = bytes;
      *size = 1;
      return;
    case 2:
      *count = 2;
      break;
    case 3:
      *count = 3;
      break;
    case 4:
      *count = 16;
      break;
    // The rest overflow. What is left of the product is what a missing check would allocate: less than size; 0; bytes.
    case 5:
      *size = bytes < 2 ? 2 : bytes;
      *count = SIZE_MAX / *size + 1;
      return;
    case 6:
      *count = (size_t)1 << 32;
      *size = (size_t)1 << 32;
      return;
    default:
      *count = ((size_t)1 << 60) + bytes / 16;
      *size = 16;
      return;
  }
  *size = bytes / *count;
}

// ---- Alignments

#define ALIGNMENT_BITS 5
#define ALIGNMENT_SHIFT_MAX 24

static const size_t strange_alignments[] = {0, 3, 24, 48, (size_t)1 << 40, (size_t)1 << 63, SIZE_MAX};

static_assert(ALIGNMENT_SHIFT_MAX + 1 + sizeof(strange_alignments) / sizeof(size_t) == 1 << ALIGNMENT_BITS,
              "every alignment means something");

size_t op_alignment(const struct op *op) {
  unsigned code = (uint8_t)op->delta % (1 << ALIGNMENT_BITS);
  if (code <= ALIGNMENT_SHIFT_MAX) return (size_t)1 << code;
  return strange_alignments[code - ALIGNMENT_SHIFT_MAX - 1];
}

size_t op_aligned_size(const struct op *op) {
  int delta = (uint8_t)op->delta >> ALIGNMENT_BITS;
  if (delta >= 4) delta -= 8;
  return add_without_wrapping(boundaries[op->selector], delta);
}

// ---- Failing memory calls

// enum fake_memory_call: map 1, map at a place 2, purge 4, release 8.
static const uint8_t fault_kinds[] = {0, 1, 2, 3, 4, 8, 12, 15};

struct op_fault op_fault(const struct op *op) {
  // A heap makes few memory calls: mostly one of the next eight fails.
  unsigned after = op->selector < 192 ? op->selector % 8 : op->selector - 192u;
  unsigned count = op->slot % 16;
  return (struct op_fault){
      .kinds = fault_kinds[op->flags % 8],
      .after = after,
      .count = count == 15 ? SIZE_MAX : count + 1,
  };
}

// ---- The header, a byte for each: chains, pool, purge delay, quarantine and Box, limit, occupied, and the schedule's two

static const uint32_t chain_kib[] = {64, 1, 2, 4, 16};
static const uint32_t pool_chains[] = {16, 0, 1, 2, 64};
static const uint32_t purge_delay_ms[] = {100, 0, 1, 3600000};
static const uint32_t quarantine_blocks[] = {0, 64, 1, 4};
static const uint32_t address_limits[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 6, 8, 16, 32};
static const uint32_t occupied[] = {0, 0, 0, 0, 2, 3, 5, 16};
// A byte that was none of these means what it always did.
static const struct {
  uint32_t occupied, more;
} occupied_rows[OP_OCCUPIED_ROW_COUNT] = {{4, 1}, {8, 1}, {0, 0}, {12, 1}, {16, 1}, {8, 3}, {16, 3}, {4, 1}};

#define CHOOSE(table, byte) ((table)[(byte) % (sizeof(table) / sizeof((table)[0]))])

static void read_occupied(uint8_t byte, struct op_setup *setup) {
  unsigned row = (unsigned)byte - OP_OCCUPIED_ROWS;
  if (row >= OP_OCCUPIED_ROW_COUNT) {
    setup->occupied = CHOOSE(occupied, byte);
  } else {
    setup->occupied = occupied_rows[row].occupied;
    setup->occupied_more = occupied_rows[row].more;
  }
}

struct op_setup op_read_setup(const uint8_t *data, size_t size) {
  uint8_t header[OP_HEADER_BYTES] = {0};
  for (size_t i = 0; i < OP_HEADER_BYTES && i < size; i++) header[i] = data[i];
  struct op_setup setup = {
      .chain_kib = CHOOSE(chain_kib, header[0]),
      .pool_chains = CHOOSE(pool_chains, header[1]),
      .purge_delay_ms = CHOOSE(purge_delay_ms, header[2]),
      .quarantine_blocks = CHOOSE(quarantine_blocks, header[3]),
      .thp = header[3] >> 2 & 1,
      .box_scan = (header[3] >> 3 & 3) == 3,
      .address_limit_superslabs = CHOOSE(address_limits, header[4]),
      .schedule_seed = header[6] | (uint32_t)(header[7] >> 4) << 8,
      .schedule_points = header[7] & 15,
  };
  read_occupied(header[5], &setup);
  return setup;
}

// ---- Names

static const char *const kind_names[] = {
    [OP_MALLOC] = "malloc",
    [OP_CALLOC] = "calloc",
    [OP_REALLOC] = "realloc",
    [OP_REALLOCARRAY] = "reallocarray",
    [OP_ALIGNED_ALLOC] = "aligned_alloc",
    [OP_POSIX_MEMALIGN] = "posix_memalign",
    [OP_MEMALIGN] = "memalign",
    [OP_PAGE_ALLOC] = "page_alloc",
    [OP_FREE] = "free",
    [OP_FREE_SIZED] = "free_sized",
    [OP_FREE_RANGE] = "free_range",
    [OP_USABLE_SIZE] = "usable_size",
    [OP_WRITE] = "write",
    [OP_VERIFY] = "verify",
    [OP_TRIM] = "trim",
    [OP_STATISTICS] = "statistics",
    [OP_CHECK_HEAP] = "check_heap",
    [OP_CLOCK] = "clock",
    [OP_FAULT] = "fault",
    [OP_PURGE_MODE] = "purge_mode",
    [OP_THREAD_SWITCH] = "thread_switch",
    [OP_THREAD_EXIT] = "thread_exit",
    [OP_MISUSE] = "misuse",
    [OP_REPEAT] = "repeat",
};

static const char *const misuse_names[] = {
    [OP_MISUSE_DOUBLE_FREE] = "double_free",
    [OP_MISUSE_FREE_MISALIGNED] = "free_misaligned",
    [OP_MISUSE_FREE_INTERIOR] = "free_interior",
    [OP_MISUSE_FREE_FORGED] = "free_forged",
    [OP_MISUSE_FREE_FOREIGN] = "free_foreign",
    [OP_MISUSE_UNDERFLOW] = "underflow",
    [OP_MISUSE_OVERFLOW] = "overflow",
    [OP_MISUSE_WRITE_AFTER_FREE] = "write_after_free",
    [OP_MISUSE_WRONG_SIZE] = "wrong_size",
    [OP_MISUSE_WRONG_ALIGNMENT] = "wrong_alignment",
    [OP_MISUSE_REALLOC] = "realloc",
    [OP_MISUSE_USABLE_SIZE] = "usable_size",
};

static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == OP_KINDS, "every kind has a name");
static_assert(sizeof(misuse_names) / sizeof(misuse_names[0]) == OP_MISUSE_KINDS, "every misuse has a name");

const char *op_kind_name(unsigned kind) { return kind < OP_KINDS ? kind_names[kind] : "?"; }
const char *op_misuse_name(unsigned kind) { return kind < OP_MISUSE_KINDS ? misuse_names[kind] : "?"; }

const char *op_call_name(unsigned call) {
  static const char *const names[] = {
      [OP_CALL_FREE] = "free",
      [OP_CALL_FREE_SIZED] = "free_sized",
      [OP_CALL_FREE_ALIGNED_SIZED] = "free_aligned_sized",
      [OP_CALL_REALLOC] = "realloc",
      [OP_CALL_REALLOC_TO_NOTHING] = "realloc_to_nothing",
      [OP_CALL_REALLOCARRAY] = "reallocarray",
      [OP_CALL_USABLE_SIZE] = "usable_size",
      [OP_CALL_CHECK_HEAP] = "check_heap",
  };
  return call < OP_CALLS ? names[call] : "?";
}
