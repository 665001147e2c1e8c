// SPDX-License-Identifier: Apache-2.0
//
// What the mutator promises: whole operations, within the limit, the same from the same seed, and a change mostly.

#include "fuzz/op/mutate.h"

#include <algorithm>
#include <cstring>

#include "fuzz/op/test_support.h"
#include "gtest/gtest.h"

extern "C" {
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second, size_t second_size,
                                 uint8_t *output, size_t max_size, unsigned int seed);

static int byte_mutations;
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) {
  byte_mutations++;
  if (size < max_size) data[size++] = 1;
  return size;
}
}

namespace {

constexpr int kCalls = FUZZ_OP_SANITIZER ? 30000 : 1000000;

struct random SeededRandom(uint64_t seed) {
  struct random random;
  random_begin(&random, seed);
  return random;
}

bool IsWhole(size_t size, size_t max_size) {
  return size >= OP_HEADER_BYTES && size <= max_size && (size - OP_HEADER_BYTES) % OP_BYTES == 0;
}

TEST(Mutate, KeepsItsPromises) {
  struct random random = SeededRandom(1);
  Bytes data, other;
  int unchanged = 0, grown = 0, shrunk = 0;
  for (int i = 0; i < kCalls; i++) {
    if (i % 500 == 0) {
      // Anew from something that need not be whole operations.
      data = RandomBytes(&random, random_below(&random, 200));
      other = RandomBytes(&random, random_below(&random, i % 1000 == 0 ? OP_INPUT_MAX : 60));
    }
    size_t max_size = i % 7 == 0    ? OP_HEADER_BYTES + random_below(&random, 40)
                      : i % 70 == 1 ? OP_HEADER_BYTES + random_below(&random, OP_INPUT_MAX)
                                    : 240;
    bool with_other = i % 3 == 0;
    uint64_t seed = random_next(&random);
    size_t size = std::min(data.size(), max_size);
    Bytes first(data.begin(), data.begin() + size);
    first.resize(max_size);
    size_t result = op_mutate(first.data(), size, max_size, other.data(), with_other ? other.size() : 0, seed);
    ASSERT_TRUE(IsWhole(result, max_size)) << "call " << i;
    if (i % 10 == 0) {
      Bytes second(data.begin(), data.begin() + size);
      second.resize(max_size);
      size_t again = op_mutate(second.data(), size, max_size, other.data(), with_other ? other.size() : 0, seed);
      ASSERT_EQ(again, result);
      ASSERT_EQ(memcmp(first.data(), second.data(), result), 0) << "call " << i;
    }
    unchanged += result == size && std::equal(data.begin(), data.begin() + size, first.begin());
    grown += result > size;
    shrunk += result < size;
    first.resize(result);
    if (max_size == 240) data = first;
  }
  EXPECT_LT(unchanged, kCalls / 20);
  EXPECT_GT(grown, kCalls / 10);
  EXPECT_GT(shrunk, kCalls / 20);
}

TEST(Mutate, WorksOnWhatIsFullAndOnWhatIsEmpty) {
  struct random random = SeededRandom(2);
  Bytes full = RandomBytes(&random, OP_INPUT_MAX + 50);
  int empty_grew = 0;
  for (int i = 0; i < kCalls / 500; i++) {
    Bytes data = full;
    ASSERT_TRUE(IsWhole(op_mutate(data.data(), data.size(), data.size(), nullptr, 0, i), OP_INPUT_MAX));
    Bytes room(OP_INPUT_MAX);
    size_t size = op_mutate(room.data(), 0, room.size(), nullptr, 0, i);
    ASSERT_TRUE(IsWhole(size, OP_INPUT_MAX));
    empty_grew += size > OP_HEADER_BYTES;
    // No room for an operation.
    Bytes header(OP_HEADER_BYTES);
    ASSERT_EQ(op_mutate(header.data(), 5, header.size(), full.data(), full.size(), i), header.size());
  }
  EXPECT_GT(empty_grew, kCalls / 500 * 9 / 10);
}

// A program that is made by the mutator alone.
void MakeProgram(struct random *random, int calls, struct program *program) {
  Bytes data(600);
  size_t size = 0;
  for (int i = 0; i < calls; i++) size = op_mutate(data.data(), size, data.size(), nullptr, 0, random_next(random));
  program_read(program, data.data(), size, data.size());
}

TEST(Mutate, MakesEveryKind) {
  struct random random = SeededRandom(3);
  size_t kinds[OP_KINDS] = {0}, misuses[OP_MISUSE_KINDS] = {0};
  for (int round = 0; round < 300; round++) {
    struct program program;
    MakeProgram(&random, 10, &program);
    for (size_t i = 0; i < program.count; i++) {
      const struct op &op = program.ops[i];
      kinds[op.kind]++;
      if (op.kind == OP_MISUSE) misuses[op.selector % OP_MISUSE_KINDS]++;
    }
  }
  for (unsigned kind = 0; kind < OP_KINDS; kind++) EXPECT_GT(kinds[kind], 10u) << op_kind_name(kind);
  for (unsigned kind = 0; kind < OP_MISUSE_KINDS; kind++) EXPECT_GT(misuses[kind], 0u) << op_misuse_name(kind);
}

// What takes more than one field to mean something: where a freed block is damaged and whether it stays so, where a thread
// stops, what of the window is somebody else's.
TEST(Mutate, FillsTheFieldsThatMatter) {
  struct random random = SeededRandom(4);
  size_t damages[8] = {0}, stops = 0, accesses = 0, rows = 0;
  for (int round = 0; round < 1000; round++) {
    struct program program;
    MakeProgram(&random, 10, &program);
    rows += op_read_setup(program.header, OP_HEADER_BYTES).occupied_more != 0;
    for (size_t i = 0; i < program.count; i++) {
      const struct op &op = program.ops[i];
      bool damage = op.kind == OP_MISUSE && op.selector % OP_MISUSE_KINDS == OP_MISUSE_WRITE_AFTER_FREE;
      if (damage) damages[op.flags]++;
      if (op.kind == OP_THREAD_SWITCH && op.selector != 0) stops++;
      if (op.kind == OP_THREAD_SWITCH && op.selector != 0 && op.delta > 0) accesses++;
    }
  }
  for (size_t count : damages) EXPECT_GT(count, 10u);
  EXPECT_GT(stops, 100u);
  EXPECT_GT(accesses, 50u);
  EXPECT_GT(rows, 50u);
}

// They free what is live, far more often than they would by chance.
TEST(Mutate, FreesWhatIsLive) {
  struct random random = SeededRandom(3);
  size_t frees = 0, of_live = 0;
  double by_chance = 0;
  for (int round = 0; round < 1000; round++) {
    struct program program;
    MakeProgram(&random, 2, &program);
    for (size_t i = 0; i < program.count; i++) {
      if (!op_kind_frees(program.ops[i].kind)) continue;
      struct program_slots slots;
      program_find_slots(&program, i, &slots);
      frees++;
      of_live += slots.state[program.ops[i].slot] == SLOT_LIVE;
      by_chance += static_cast<double>(slots.live_count) / OP_SLOTS;
    }
  }
  EXPECT_GT(of_live, frees / 2) << of_live << " of " << frees;
  EXPECT_GT(of_live, 3 * by_chance) << of_live << " of " << frees;
}

TEST(Crossover, KeepsItsPromises) {
  struct random random = SeededRandom(4);
  int from_both = 0;
  for (int i = 0; i < kCalls / 10; i++) {
    size_t most = i % 50 == 0 ? OP_INPUT_MAX + 100 : 200;
    Bytes first = RandomBytes(&random, random_below(&random, most));
    Bytes second = RandomBytes(&random, random_below(&random, most));
    size_t max_size = OP_HEADER_BYTES + random_below(&random, most);
    Bytes output(max_size), again(max_size);
    uint64_t seed = random_next(&random);
    size_t size = op_crossover(first.data(), first.size(), second.data(), second.size(), output.data(), max_size, seed);
    ASSERT_TRUE(IsWhole(size, max_size));
    ASSERT_EQ(op_crossover(first.data(), first.size(), second.data(), second.size(), again.data(), max_size, seed),
              size);
    ASSERT_EQ(output, again);
    from_both += size != OP_HEADER_BYTES + op_count(first.size()) * OP_BYTES;
  }
  EXPECT_GT(from_both, kCalls / 20);
}

// Every operation of a child is one of a parent, in the parent's order.
TEST(Crossover, TakesFromBoth) {
  std::vector<struct op> low, high;
  for (unsigned i = 0; i < 20; i++) {
    low.push_back(MakeOp(OP_FREE, 0, i, 0, 0));
    high.push_back(MakeOp(OP_FREE, 0, 100 + i, 0, 0));
  }
  Bytes first = MakeInput(low), second = MakeInput(high);
  int mixed = 0;
  for (uint64_t seed = 0; seed < 500; seed++) {
    Bytes output(OP_INPUT_MAX);
    size_t size =
        op_crossover(first.data(), first.size(), second.data(), second.size(), output.data(), output.size(), seed);
    int last_low = -1, last_high = -1;
    for (size_t i = 0; i < op_count(size); i++) {
      int slot = op_read(output.data(), i).slot;
      int &last = slot < 100 ? last_low : last_high;
      ASSERT_GT(slot, last);
      last = slot;
    }
    mixed += last_low >= 0 && last_high >= 0;
  }
  EXPECT_GT(mixed, 400);
}

TEST(Program, FindsWhatIsLive) {
  Bytes input =
      MakeInput({MakeOp(OP_MALLOC, 0, 1, 0, 0), MakeOp(OP_REPEAT, 1, 0, 3, 0),  // 1, 3, 5, 7
                 MakeOp(OP_FREE, 0, 3, 0, 0), MakeOp(OP_FREE_RANGE, 0, 6, 2, 0), MakeOp(OP_REALLOC, 7, 5, 0, 0)});
  struct program program;
  struct program_slots slots;
  program_read(&program, input.data(), input.size(), OP_INPUT_MAX);
  program_find_slots(&program, 2, &slots);
  EXPECT_EQ(slots.live_count, 4u);
  EXPECT_EQ(slots.freed_count, 0u);
  program_find_slots(&program, program.count, &slots);
  ASSERT_EQ(slots.live_count, 1u);
  EXPECT_EQ(slots.live[0], 1);
  EXPECT_EQ(slots.freed_count, 3u);
  EXPECT_EQ(slots.state[5], SLOT_FREED);
  EXPECT_EQ(slots.state[6], SLOT_UNUSED);
}

TEST(Program, MovesOperations) {
  struct program program;
  std::vector<struct op> ops;
  for (unsigned i = 0; i < 4; i++) ops.push_back(MakeOp(OP_FREE, 0, i, 0, 0));
  auto order = [&](size_t from, size_t to) {
    Bytes input = MakeInput(ops);
    program_read(&program, input.data(), input.size(), input.size());
    program_move(&program, from, to);
    std::string slots;
    for (size_t i = 0; i < program.count; i++) slots += static_cast<char>('0' + program.ops[i].slot);
    return slots;
  };
  EXPECT_EQ(order(0, 4), "1230");
  EXPECT_EQ(order(0, 2), "1023");
  EXPECT_EQ(order(3, 0), "3012");
  EXPECT_EQ(order(2, 2), "0123");
}

TEST(LibFuzzer, LeavesATenthToIt) {
  byte_mutations = 0;
  Bytes data(OP_INPUT_MAX);
  for (unsigned seed = 0; seed < 1000; seed++) {
    size_t size = LLVMFuzzerCustomMutator(data.data(), 50, 100, seed);
    ASSERT_LE(size, 100u);
    ASSERT_TRUE(seed % 10 == 0 || IsWhole(size, 100));
  }
  EXPECT_EQ(byte_mutations, 100);
}

TEST(LibFuzzer, LivesWithLimitsBelowAnOperation) {
  for (size_t max_size = 1; max_size < 12; max_size++) {
    Bytes data(max_size, 7), output(max_size);
    EXPECT_LE(LLVMFuzzerCustomMutator(data.data(), max_size / 2, max_size, 3), max_size);
    EXPECT_LE(LLVMFuzzerCustomCrossOver(data.data(), max_size, data.data(), max_size, output.data(), max_size, 3),
              max_size);
  }
  Bytes first = MakeInput({MakeOp(OP_FREE, 0, 1, 0, 0)}), output(100);
  EXPECT_TRUE(IsWhole(LLVMFuzzerCustomCrossOver(first.data(), first.size(), first.data(), first.size(), output.data(),
                                                output.size(), 3),
                      output.size()));
}

}  // namespace
