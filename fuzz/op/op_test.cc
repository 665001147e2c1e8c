// SPDX-License-Identifier: Apache-2.0
//
// Every byte string is a program, every boundary can be had, and programs end.

#include "fuzz/op/op.h"

#include <set>

#include "allocator/base/size_class_table.h"
#include "fuzz/op/test_support.h"
#include "gtest/gtest.h"

namespace {

bool Same(const struct op &a, const struct op &b) {
  return a.kind == b.kind && a.flags == b.flags && a.slot == b.slot && a.selector == b.selector && a.delta == b.delta;
}

TEST(Op, IsReadAsItWasWritten) {
  for (unsigned kind = 0; kind < OP_KINDS; kind++) {
    for (unsigned flags = 0; flags < 8; flags++) {
      for (int i = -128; i < 128; i++) {
        struct op op = MakeOp(kind, flags, i & 255, (i * 7) & 255, i);
        Bytes input = MakeInput({MakeOp(OP_FREE, 0, 0, 0, 0), op});
        EXPECT_TRUE(Same(op_read(input.data(), 1), op));
      }
    }
  }
}

TEST(Op, EveryByteIsAnOperation) {
  std::set<unsigned> kinds;
  for (unsigned first = 0; first < 256; first++) {
    Bytes input(OP_HEADER_BYTES + OP_BYTES);
    input[OP_HEADER_BYTES] = static_cast<uint8_t>(first);
    struct op op = op_read(input.data(), 0);
    ASSERT_LT(op.kind, OP_KINDS);
    ASSERT_LT(op.flags, 8);
    kinds.insert(op.kind);
    // What is written again is the same operation, if not the same byte.
    struct op again = op_read(MakeInput({op}).data(), 0);
    EXPECT_TRUE(Same(again, op));
  }
  EXPECT_EQ(kinds.size(), static_cast<size_t>(OP_KINDS));
}

TEST(Op, ZeroesAreSmallAllocationsWithTheDefaults) {
  Bytes input(OP_INPUT_MAX);
  struct op op = op_read(input.data(), 0);
  EXPECT_EQ(op.kind, OP_MALLOC);
  EXPECT_EQ(op_resolve(&op).size, 15u);
  struct op_setup setup = op_read_setup(input.data(), input.size());
  EXPECT_EQ(setup.chain_kib, 64u);
  EXPECT_EQ(setup.pool_chains, 16u);
  EXPECT_EQ(setup.purge_delay_ms, 100u);
  EXPECT_EQ(setup.quarantine_blocks, 0u);
  EXPECT_EQ(setup.thp + setup.box_scan + setup.address_limit_superslabs + setup.occupied, 0u);
  EXPECT_EQ(setup.schedule_seed + setup.schedule_points, 0u);
}

// Only where a byte was of no use before do several superslabs in a row belong to somebody else, and never all.
TEST(Op, OccupiedRows) {
  Bytes header(8);
  for (unsigned byte = 0; byte < 256; ++byte) {
    header[5] = static_cast<uint8_t>(byte);
    struct op_setup setup = op_read_setup(header.data(), 8);
    if (byte < 24 || byte > 31) {
      static const uint32_t one[] = {0, 0, 0, 0, 2, 3, 5, 16};
      EXPECT_EQ(setup.occupied, one[byte % 8]) << byte;
      EXPECT_EQ(setup.occupied_more, 0u) << byte;
    } else if (setup.occupied != 0) {
      EXPECT_GT(setup.occupied_more, 0u) << byte;
      EXPECT_LE(2 * (setup.occupied_more + 1), setup.occupied) << byte;
    }
  }
}

TEST(Op, HeadersNeedNotBeWhole) {
  Bytes header = {1, 1, 1, 1 | 4 | 24, 8, 4, 5, 0x63};
  struct op_setup whole = op_read_setup(header.data(), 8);
  EXPECT_EQ(whole.chain_kib, 1u);
  EXPECT_EQ(whole.pool_chains, 0u);
  EXPECT_EQ(whole.purge_delay_ms, 0u);
  EXPECT_EQ(whole.quarantine_blocks, 64u);
  EXPECT_EQ(whole.thp, 1u);
  EXPECT_EQ(whole.box_scan, 1u);
  EXPECT_EQ(whole.address_limit_superslabs, 1u);
  EXPECT_EQ(whole.occupied, 2u);
  EXPECT_EQ(whole.occupied_more, 0u);
  EXPECT_EQ(whole.schedule_seed, 0x605u);
  EXPECT_EQ(whole.schedule_points, 3u);
  struct op_setup part = op_read_setup(header.data(), 2);
  EXPECT_EQ(part.pool_chains, 0u);
  EXPECT_EQ(part.purge_delay_ms, 100u);
  EXPECT_EQ(op_read_setup(nullptr, 0).chain_kib, 64u);
}

TEST(Op, CountsWholeOperations) {
  EXPECT_EQ(op_count(0), 0u);
  EXPECT_EQ(op_count(7), 0u);
  EXPECT_EQ(op_count(11), 0u);
  EXPECT_EQ(op_count(12), 1u);
  EXPECT_EQ(op_count(15), 1u);
  EXPECT_EQ(op_count(OP_INPUT_MAX), static_cast<size_t>(OP_COUNT_MAX));
  EXPECT_EQ(op_count(SIZE_MAX), static_cast<size_t>(OP_COUNT_MAX));
}

// Everything reachable from a byte string stays within its bounds: the vectors have exactly these bytes, so a sanitizer sees
// a step outside.
TEST(Op, EveryByteStringIsAProgram) {
  struct random random;
  random_begin(&random, 1);
  for (int i = 0; i < (FUZZ_OP_SANITIZER ? 300 : 3000); i++) {
    Bytes input = RandomBytes(&random, random_below(&random, i % 8 == 0 ? OP_INPUT_MAX + 100 : 100));
    op_read_setup(input.data(), input.size());
    struct op_cursor cursor;
    struct op op;
    size_t executed = 0;
    op_cursor_begin(&cursor, input.data(), input.size());
    while (op_next(&cursor, &op)) {
      executed++;
      ASSERT_EQ(cursor.executed, executed);
      ASSERT_LT(cursor.index, op_count(input.size()));
      ASSERT_LT(op.kind, OP_KINDS);
      ASSERT_NE(op.kind, OP_REPEAT);
      struct op_arguments arguments = op_resolve(&op);
      ASSERT_LT(arguments.thread, OP_THREADS);
      ASSERT_LT(arguments.misuse, OP_MISUSE_KINDS);
      if (op.kind == OP_FREE_RANGE && arguments.count > 0) op_range_slot(&op, &arguments, arguments.count - 1);
      ASSERT_TRUE(arguments.fault.kinds == 0 || arguments.fault.count > 0);
    }
    ASSERT_LE(executed, static_cast<size_t>(OP_EXECUTED_MAX));
  }
}

std::set<size_t> Boundaries() {
  std::set<size_t> result;
  for (size_t i = 0; i < op_size_boundaries(); i++) result.insert(op_size(static_cast<uint8_t>(i), 0));
  return result;
}

// One changed byte, the selector, leads to the boundary, and one more, delta, to what is near it; each of them is a step of
// its own, as a program that is at the boundary already shows.
TEST(Size, EveryBoundaryAndItsNeighboursAreThere) {
  std::set<size_t> boundaries = Boundaries();
  std::vector<size_t> wanted = {0,
                                HAK_SMALL_MAX,
                                4096,
                                65536,
                                3 * 65536,
                                131072,
                                1 << 20,
                                2 << 20,
                                3 << 20,
                                4 << 20,
                                16 << 20,
                                32 << 20,
                                64 << 20,
                                size_t{1} << 36,
                                size_t{1} << 40,
                                PTRDIFF_MAX,
                                size_t{PTRDIFF_MAX} + 1,
                                SIZE_MAX,
                                SIZE_MAX - 15,
                                SIZE_MAX - 4095};
#define MAXIMUM(index, stride, ...) wanted.push_back((stride) - 1);
  HAK_CLASS_TABLE(MAXIMUM)
  for (size_t size : wanted) {
    ASSERT_EQ(boundaries.count(size), 1u) << size;
    uint8_t selector = op_selector_of(size);
    EXPECT_EQ(op_size(selector, 0), size);
    for (int delta = -2; delta <= 2; delta++) {
      size_t expected = delta < 0 && size < static_cast<size_t>(-delta)             ? 0
                        : delta > 0 && size > SIZE_MAX - static_cast<size_t>(delta) ? SIZE_MAX
                                                                                    : size + delta;
      EXPECT_EQ(op_size(selector, static_cast<int8_t>(delta)), expected);
    }
  }
}

TEST(Size, EachSelectorIsOneAndSmallOnesAreLikelier) {
  ASSERT_EQ(op_size_boundaries(), 256u);
  size_t small = 0, huge = 0;
  for (unsigned i = 0; i < 256; i++) {
    small += op_size(static_cast<uint8_t>(i), 0) <= 1040;
    huge += op_size(static_cast<uint8_t>(i), 0) > size_t{1} << 30;
  }
  EXPECT_GT(small, 120u);
  EXPECT_LT(huge, 30u);
}

TEST(Size, DoesNotWrap) {
  EXPECT_EQ(op_size(op_selector_of(0), -128), 0u);
  EXPECT_EQ(op_size(op_selector_of(SIZE_MAX), 127), SIZE_MAX);
  EXPECT_EQ(op_size(op_selector_of(SIZE_MAX), -1), SIZE_MAX - 1);
}

TEST(Size, TheNearestBoundary) {
  EXPECT_EQ(op_size(op_selector_of(33000), 0), 32784u);
  EXPECT_EQ(op_size(op_selector_of(SIZE_MAX - 3), 0), SIZE_MAX);
}

TEST(Calloc, ProductsAndOverflows) {
  for (unsigned selector = 0; selector < 256; selector++) {
    for (unsigned flags = 0; flags < 8; flags++) {
      struct op op = MakeOp(OP_CALLOC, flags, 0, selector, 0);
      size_t bytes = op_size(op.selector, op.delta);
      struct op_arguments arguments = op_resolve(&op);
      ASSERT_EQ(arguments.overflows, flags >= 5) << selector << " " << flags;
      if (flags >= 5) {
        EXPECT_EQ(arguments.bytes, SIZE_MAX);
      } else {
        EXPECT_EQ(arguments.bytes, arguments.count * arguments.size);
        EXPECT_LE(arguments.bytes, bytes);
        EXPECT_LT(bytes - arguments.bytes, 16u);
      }
      // What a missing check would allocate is little.
      if (flags == 7 && bytes < size_t{1} << 40) {
        EXPECT_EQ(arguments.count * arguments.size, bytes / 16 * 16);
      }
    }
  }
}

TEST(Alignment, PowersAndOthers) {
  std::set<size_t> alignments;
  std::set<size_t> sizes;
  for (int delta = -128; delta < 128; delta++) {
    struct op op = MakeOp(OP_MEMALIGN, 0, 0, 10, delta);
    struct op_arguments arguments = op_resolve(&op);
    alignments.insert(arguments.alignment);
    sizes.insert(arguments.size);
  }
  for (unsigned shift = 0; shift <= 24; shift++) EXPECT_EQ(alignments.count(size_t{1} << shift), 1u);
  for (size_t bad : {size_t{0}, size_t{3}, size_t{24}, size_t{48}, size_t{1} << 40, size_t{1} << 63, SIZE_MAX}) {
    EXPECT_EQ(alignments.count(bad), 1u) << bad;
  }
  EXPECT_EQ(alignments.size(), 32u);
  // The boundary, and from 4 less to 3 more.
  size_t boundary = op_size(10, 0);
  EXPECT_EQ(sizes.size(), 8u);
  EXPECT_EQ(*sizes.begin(), boundary - 4);
  EXPECT_EQ(*sizes.rbegin(), boundary + 3);
}

TEST(Resolve, FlagsChangeWhatIsCalled) {
  struct op op = MakeOp(OP_REALLOC, 7, 0, 20, 0);
  EXPECT_EQ(op_resolve(&op).size, 0u);
  op.flags = 6;
  EXPECT_EQ(op_resolve(&op).size, 1039u);
  op = MakeOp(OP_TRIM, 0, 0, 20, 0);
  EXPECT_EQ(op_resolve(&op).size, 0u);
  op.flags = 1;
  EXPECT_EQ(op_resolve(&op).size, 1039u);
  op = MakeOp(OP_PAGE_ALLOC, 1, 0, 20, 0);
  EXPECT_TRUE(op_resolve(&op).whole_pages);
  op = MakeOp(OP_CLOCK, 0, 0, 25, 0);
  EXPECT_EQ(op_resolve(&op).milliseconds, 100u);
  op = MakeOp(OP_THREAD_SWITCH, 7, 0, 0, 0);
  EXPECT_EQ(op_resolve(&op).thread, 3);
}

TEST(Resolve, RangesGoBothWays) {
  struct op op = MakeOp(OP_FREE_RANGE, 0, 254, 4, 0);
  struct op_arguments arguments = op_resolve(&op);
  ASSERT_EQ(arguments.count, 4u);
  EXPECT_EQ(op_range_slot(&op, &arguments, 0), 254);
  EXPECT_EQ(op_range_slot(&op, &arguments, 3), 1);
  op.flags = 1;
  arguments = op_resolve(&op);
  EXPECT_EQ(op_range_slot(&op, &arguments, 0), 1);
  EXPECT_EQ(op_range_slot(&op, &arguments, 3), 254);
}

struct Step {
  size_t index;
  unsigned round, slot;
  bool operator==(const Step &other) const {
    return index == other.index && round == other.round && slot == other.slot;
  }
};

std::vector<Step> Steps(const Bytes &input) {
  std::vector<Step> steps;
  struct op_cursor cursor;
  struct op op;
  op_cursor_begin(&cursor, input.data(), input.size());
  while (op_next(&cursor, &op)) steps.push_back({cursor.index, cursor.round, op.slot});
  return steps;
}

TEST(Cursor, RepeatsWithOtherSlots) {
  Bytes input = MakeInput({MakeOp(OP_MALLOC, 0, 250, 0, 0), MakeOp(OP_FREE, 0, 1, 0, 0), MakeOp(OP_REPEAT, 2, 1, 2, 0),
                           MakeOp(OP_FREE, 0, 9, 0, 0)});
  std::vector<Step> expected = {{0, 0, 250}, {1, 0, 1}, {0, 1, 253}, {1, 1, 4}, {0, 2, 0}, {1, 2, 7}, {3, 0, 9}};
  EXPECT_TRUE(Steps(input) == expected);
}

TEST(Cursor, RepeatsAtMostWhatThereIs) {
  Bytes input = MakeInput({MakeOp(OP_MALLOC, 0, 0, 0, 0), MakeOp(OP_REPEAT, 0, 15, 1, 0)});
  std::vector<Step> expected = {{0, 0, 0}, {0, 1, 1}};
  EXPECT_TRUE(Steps(input) == expected);
}

TEST(Cursor, LeavesOutRepeatsWithinRepeats) {
  Bytes input =
      MakeInput({MakeOp(OP_MALLOC, 0, 0, 0, 0), MakeOp(OP_REPEAT, 0, 0, 2, 0), MakeOp(OP_REPEAT, 3, 1, 2, 0)});
  std::vector<Step> expected = {{0, 0, 0}, {0, 1, 1}, {0, 2, 2}, {0, 1, 4}, {0, 2, 8}};
  EXPECT_TRUE(Steps(input) == expected);
}

TEST(Cursor, NothingButRepeatsIsNothing) {
  std::vector<struct op> ops(OP_COUNT_MAX, MakeOp(OP_REPEAT, 0, 15, 60, 0));
  EXPECT_TRUE(Steps(MakeInput(ops)).empty());
  ops[0] = MakeOp(OP_FREE, 0, 0, 0, 0);
  // The first operation is in reach of 16 repeats, 60 times each; the 17th looks at repeats alone.
  EXPECT_EQ(Steps(MakeInput(ops)).size(), 1u + 16 * 60);
}

TEST(Cursor, EndsAtTheLimit) {
  std::vector<struct op> ops(OP_COUNT_MAX, MakeOp(OP_FREE, 0, 0, 0, 0));
  EXPECT_EQ(Steps(MakeInput(ops)).size(), static_cast<size_t>(OP_COUNT_MAX));
  for (size_t i = 15; i < ops.size(); i += 2) ops[i] = MakeOp(OP_REPEAT, 0, 15, 255, 0);
  EXPECT_EQ(Steps(MakeInput(ops)).size(), static_cast<size_t>(OP_EXECUTED_MAX));
}

TEST(Names, EveryKindHasOne) {
  std::set<std::string> names;
  for (unsigned i = 0; i < OP_KINDS; i++) names.insert(op_kind_name(i));
  EXPECT_EQ(names.size(), static_cast<size_t>(OP_KINDS));
  EXPECT_STREQ(op_kind_name(OP_KINDS), "?");
  names.clear();
  for (unsigned i = 0; i < OP_MISUSE_KINDS; i++) names.insert(op_misuse_name(i));
  EXPECT_EQ(names.size(), static_cast<size_t>(OP_MISUSE_KINDS));
  EXPECT_STREQ(op_misuse_name(OP_MISUSE_KINDS), "?");
}

}  // namespace
