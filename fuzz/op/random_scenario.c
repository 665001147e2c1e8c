// SPDX-License-Identifier: Apache-2.0
//
// The scenarios. Each leaves to chance what it need not fix, as what is near it is of interest too. Layer: op, above op.h,
// program.h and random_op.h; allocates nothing, has no state. Test: mutate_test.cc.

#include "fuzz/op/random_scenario.h"

#include "fuzz/op/random_op.h"

// Slabs and superslabs of the small geometry, superslabs of production's.
#define SMALL_SLAB ((size_t)8 << 10)
#define SMALL_SUPERSLAB_SHIFT 18
#define SUPERSLAB_SHIFT 21

// The bytes of the header, and those of their values (op.c) that a scenario wants.
enum header_byte { HEADER_CHAIN_KIB, HEADER_POOL_CHAINS, HEADER_QUARANTINE = 3, HEADER_OCCUPIED = 5 };
#define HEADER_QUARANTINE_BITS 3u

static struct op repeat(size_t operations, size_t times) {
  return (struct op){.kind = OP_REPEAT, .slot = (uint8_t)(operations - 1), .selector = (uint8_t)times};
}

// A class grows to more runs than a few, and all its blocks are freed, perhaps by another thread. With short chains, of which
// the pool keeps few, most of them then come back to their runs, which are as good as empty: so lists are kept short, too.
static size_t shrink_class(struct random *random, uint8_t *header, const struct program_slots *slots, struct op *ops) {
  static const uint8_t last[] = {OP_THREAD_EXIT, OP_TRIM, OP_STATISTICS, OP_CHECK_HEAP};
  size_t count = 0, stride, blocks;
  if (random_percent(random, 60)) {
    header[HEADER_CHAIN_KIB] = (uint8_t)(1 + random_below(random, 4));
    header[HEADER_POOL_CHAINS] = (uint8_t)(1 + random_below(random, 3));
  }
  // The first selectors are the classes. In slots there is room for five runs of those from 208 bytes on.
  struct op first = {.kind = OP_MALLOC, .selector = (uint8_t)(10 + random_below(random, 28))};
  first.slot = random_percent(random, 50) ? random_free_slot(random, slots) : (uint8_t)random_next(random);
  stride = op_size(first.selector, 0) + 1;
  blocks = SMALL_SLAB / stride < 3 ? 3 : SMALL_SLAB / stride;
  blocks = (4 + random_below(random, 4)) * blocks + random_below(random, 4);
  if (blocks > 255) blocks = 255;
  ops[count++] = first;
  ops[count++] = repeat(1, blocks - 1);
  if (random_percent(random, 30)) {
    ops[count++] = (struct op){.kind = OP_THREAD_SWITCH, .flags = (uint8_t)random_below(random, OP_THREADS)};
  }
  ops[count++] = (struct op){.kind = OP_FREE_RANGE, .slot = first.slot, .selector = (uint8_t)blocks};
  ops[count - 1].flags = (uint8_t)random_below(random, 2);
  // A few more go through the lists as they are now.
  if (random_percent(random, 60)) {
    ops[count++] = first;
    ops[count++] = (struct op){.kind = OP_FREE, .slot = first.slot};
    ops[count++] = repeat(2, random_below(random, 12));
  }
  if (random_percent(random, 70)) ops[count++] = (struct op){.kind = last[random_below(random, sizeof last)]};
  return count;
}

// Superslabs are free and mapped behind others that were never asked for, as blocks with a great alignment were there; then so
// many are taken that these are asked for, of which some are somebody else's.
static size_t free_behind_gap(struct random *random, uint8_t *header, const struct program_slots *slots,
                              struct op *ops) {
  size_t count = 0, shift = random_percent(random, 70) ? SMALL_SUPERSLAB_SHIFT : SUPERSLAB_SHIFT;
  if (random_percent(random, 80)) {
    header[HEADER_OCCUPIED] = (uint8_t)(OP_OCCUPIED_ROWS + random_below(random, OP_OCCUPIED_ROW_COUNT));
  }
  uint8_t slot = random_free_slot(random, slots);
  size_t bytes = ((size_t)1 << shift) / 8 * (3 + random_below(random, 12));
  struct op block = {.kind = OP_MALLOC, .slot = slot, .selector = op_selector_of(bytes)};
  ops[count++] = block;
  ops[count++] = (struct op){.kind = OP_MEMALIGN, .slot = (uint8_t)(slot + 1)};
  ops[count - 1].delta = (int8_t)(shift + 1 + random_below(random, 2));
  ops[count - 1].selector = random_percent(random, 50) ? block.selector : (uint8_t)random_next(random);
  size_t aligned = 1 + random_below(random, 3);
  ops[count++] = repeat(1, aligned - 1);
  ops[count++] = (struct op){.kind = OP_FREE_RANGE, .slot = (uint8_t)(slot + 1), .selector = (uint8_t)aligned};
  block.slot++;
  ops[count++] = block;
  ops[count++] = repeat(1, 1 + random_below(random, 6));
  return count;
}

// A block is damaged after its free, and stays so; then blocks like it come and go until it is seen.
static size_t damage_free_block(struct random *random, uint8_t *header, const struct program_slots *slots,
                                struct op *ops) {
  struct op block = {.kind = OP_MALLOC, .slot = random_free_slot(random, slots)};
  block.selector = (uint8_t)(random_percent(random, 70) ? random_below(random, 20) : random_below(random, 41));
  if (random_percent(random, 60)) {
    header[HEADER_QUARANTINE] ^= (uint8_t)(random_next(random) & HEADER_QUARANTINE_BITS);
  }
  struct op damage = {.kind = OP_MISUSE, .slot = block.slot, .selector = OP_MISUSE_WRITE_AFTER_FREE};
  damage.flags = (uint8_t)(random_percent(random, 80) ? random_below(random, 4) | 1 : random_below(random, 8));
  damage.delta = (int8_t)(1 + random_below(random, 255));
  // Mostly the last byte of all where it is one of the last: who forgets one forgets this one.
  if (damage.flags / 2 == 1 && random_percent(random, 60)) damage.delta = (int8_t)(4 * (1 + random_below(random, 31)));
  ops[0] = block;
  ops[1] = (struct op){.kind = OP_FREE, .slot = block.slot};
  ops[2] = damage;
  ops[3] = block;
  ops[3].slot++;
  ops[4] = ops[1];
  ops[4].slot++;
  ops[5] = repeat(2, random_below(random, 8));
  return 3 + random_below(random, 4);
}

// A thread stops within a call that is likely to take a lock, and another one does what takes the same.
static size_t stop_within_call(struct random *random, const struct program_slots *slots, struct op *ops) {
  static const uint8_t first[] = {OP_MALLOC, OP_MALLOC, OP_FREE, OP_REALLOC, OP_TRIM, OP_THREAD_EXIT};
  static const uint8_t second[] = {OP_STATISTICS, OP_STATISTICS, OP_MALLOC, OP_FREE, OP_TRIM, OP_THREAD_EXIT};
  struct op op = {.kind = first[random_below(random, sizeof first)]};
  bool large = random_percent(random, 50);
  op.slot = op.kind == OP_MALLOC ? random_free_slot(random, slots) : random_live_slot(random, slots);
  op.selector = large ? op_selector_of((size_t)1 << (15 + random_below(random, 4))) : (uint8_t)random_below(random, 41);
  ops[0] = op;
  ops[1] = (struct op){.kind = OP_THREAD_SWITCH, .flags = (uint8_t)random_below(random, OP_THREADS)};
  ops[1].selector = (uint8_t)(1 + random_below(random, random_percent(random, 70) ? 8 : 63));
  if (random_percent(random, 60)) ops[1].delta = (int8_t)(1 + random_below(random, 31));
  ops[1].slot = (uint8_t)(random_percent(random, 50) ? 255 : random_below(random, 256));
  op.kind = second[random_below(random, sizeof second)];
  op.slot = op.kind == OP_MALLOC ? random_free_slot(random, slots) : random_live_slot(random, slots);
  ops[2] = op;
  return 3;
}

// The same again and again, with the stop a little later each time: it comes between any two accesses of the call.
static size_t stop_everywhere(struct random *random, const struct program_slots *slots, struct op *ops) {
  static const uint8_t kinds[] = {OP_MALLOC, OP_MALLOC, OP_FREE, OP_REALLOC};
  bool large = random_percent(random, 60);
  unsigned thread = random_below(random, OP_THREADS);
  struct op op = {.kind = kinds[random_below(random, sizeof kinds)], .slot = random_free_slot(random, slots)};
  // The least large ones, as many live at once.
  op.selector = large ? op_selector_of(5 * SMALL_SLAB) : (uint8_t)random_below(random, 41);
  if (op.kind != OP_MALLOC) op.slot = random_live_slot(random, slots);
  ops[0] = (struct op){.kind = OP_THREAD_SWITCH, .flags = (uint8_t)thread};
  ops[1] = op;
  ops[2] = (struct op){.kind = OP_THREAD_SWITCH, .slot = 255};
  ops[2].flags = (uint8_t)((thread + 1 + random_below(random, OP_THREADS - 1)) % OP_THREADS);
  ops[2].selector = (uint8_t)(1 + random_below(random, random_percent(random, 70) ? 24 : 63));
  if (random_percent(random, 80)) ops[2].delta = (int8_t)(1 + random_below(random, 8));
  if (random_percent(random, 30)) op.kind = kinds[random_below(random, sizeof kinds)];
  op.slot++;
  ops[3] = op;
  ops[4] = repeat(4, 8 + random_below(random, 17));
  ops[4].flags = 1;
  return 5;
}

size_t random_scenario(struct random *random, uint8_t header[OP_HEADER_BYTES], const struct program_slots *slots,
                       struct op ops[SCENARIO_OPS_MAX]) {
  switch (random_below(random, 5)) {
    case 0:
      return shrink_class(random, header, slots, ops);
    case 1:
      return free_behind_gap(random, header, slots, ops);
    case 2:
      return stop_within_call(random, slots, ops);
    case 3:
      return stop_everywhere(random, slots, ops);
    default:
      return damage_free_block(random, header, slots, ops);
  }
}
