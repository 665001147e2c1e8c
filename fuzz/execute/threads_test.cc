// SPDX-License-Identifier: Apache-2.0
//
// Programs of several threads: each input is executed in the same way every time, whatever was executed before, and the
// schedules are different ones.

#include "fuzz/execute/threads.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

#include "fuzz/execute/input_for_test.h"

namespace {

// Threads that allocate and free each other's blocks.
Input RandomInput(uint32_t seed) {
  std::mt19937 random(seed);
  Input input(OP_HEADER_BYTES);
  for (uint8_t &byte : input) byte = static_cast<uint8_t>(random());
  const unsigned count = 5 + random() % 60;
  for (unsigned i = 0; i < count; ++i) {
    const unsigned slot = random() % 16, selector = random();
    switch (random() % 8) {
      case 0:
      case 1:
        Add(&input, OP_THREAD_SWITCH, random() % 4, random(), random() % 32, random() % 2 ? 0 : random() % 32);
        break;
      case 2:
      case 3:
        Add(&input, OP_FREE, 0, slot, 0);
        break;
      case 4:
        Add(&input, static_cast<op_kind>(random() % OP_MISUSE), random() % 8, slot, selector, random());
        break;
      case 5:
        if (random() % 4 == 0) Add(&input, OP_THREAD_EXIT, random() % 8, slot, selector);
        if (random() % 4 == 0) Add(&input, OP_MISUSE, random() % 8, slot, selector % 16, random() % 16);
        break;
      default:
        Add(&input, OP_MALLOC, 0, slot, selector % 160);
        break;
    }
  }
  return input;
}

TEST(Threads, AnInputIsExecutedInTheSameWay) {
  std::map<const heap *, std::vector<uint64_t>> traces;
  std::set<uint64_t> different;
  constexpr uint32_t kInputs = 300;
  for (uint32_t i = 0; i < kInputs; ++i) {
    const Input input = RandomInput(i);
    for (const heap *variant : {heap_direct_small(), heap_box_small()}) {
      traces[variant].push_back(threads_input(variant, input.data(), input.size()));
      different.insert(traces[variant].back());
    }
  }
  EXPECT_GT(different.size(), kInputs * 3 / 2);
  for (uint32_t i = kInputs; i-- > 0;) {
    const Input input = RandomInput(i);
    for (const heap *variant : {heap_box_small(), heap_direct_small()}) {
      EXPECT_EQ(traces[variant][i], threads_input(variant, input.data(), input.size())) << "input " << i;
    }
  }
}

uint64_t Execute(const Input &input) { return threads_input(heap_direct_small(), input.data(), input.size()); }

TEST(Threads, TheInputHasTheSchedule) {
  std::set<uint64_t> traces;
  for (unsigned points = 0; points < 12; ++points) {
    Input input(OP_HEADER_BYTES);
    Add(&input, OP_MALLOC, 0, 0, 10);
    Add(&input, OP_THREAD_SWITCH, 1, 15, points);
    Add(&input, OP_MALLOC, 0, 1, 10);
    traces.insert(Execute(input));
    // The same with another thread: nothing else differs.
    EXPECT_EQ(Execute(input), Execute(input));
  }
  EXPECT_GT(traces.size(), 10u);
}

TEST(Threads, ABlockIsHandedOnWhateverThePriorities) {
  for (unsigned seed = 0; seed < 256; ++seed) {
    Input input(OP_HEADER_BYTES);
    input[6] = static_cast<uint8_t>(seed);
    input[7] = static_cast<uint8_t>(1 + seed % 3);
    for (unsigned i = 0; i < 40; ++i) {
      Add(&input, OP_THREAD_SWITCH, i % 4, 255, 0);
      Add(&input, i % 2 == 0 ? OP_MALLOC : OP_FREE, 0, 7, 20 + i / 8);
    }
    Execute(input);
  }
}

// But for the stops that the seed puts somewhere.
TEST(ThreadsProgram, ARepeatedStopComesLaterEachTime) {
  static threads_program program;
  for (int accesses : {0, 9}) {
    Input input(OP_HEADER_BYTES);
    Add(&input, OP_THREAD_SWITCH, 0, 0, 0);
    Add(&input, OP_MALLOC, 0, 5, 10);
    Add(&input, OP_THREAD_SWITCH, 2, 255, 7, accesses);
    Add(&input, OP_MALLOC, 0, 6, 10);
    Add(&input, OP_REPEAT, 1, 3, 20);
    threads_program_read(&program, input.data(), input.size());
    ASSERT_EQ(42u, program.count);
    int right = 0;
    for (int round = 0; round <= 20; ++round) {
      const threads_step &step = program.steps[2 * round];
      right += step.stop_points == (accesses == 0 ? 7 + round : 7) &&
               step.stop_accesses == (accesses == 0 ? 0 : accesses + round);
      right += program.steps[2 * round + 1].stop_points == 0;
    }
    EXPECT_GE(right, 36);
  }
}

TEST(ThreadsProgram, Reads) {
  static threads_program program;
  Input input(OP_HEADER_BYTES);
  input[7] = 8;
  Add(&input, OP_MALLOC, 0, 5, 10);
  Add(&input, OP_THREAD_SWITCH, 2, 241, 7, 9);
  Add(&input, OP_FREE_RANGE, 0, 5, 2);
  Add(&input, OP_MISUSE, 0, 6, 3);
  Add(&input, OP_THREAD_EXIT, 6, 0, 0);
  Add(&input, OP_THREAD_EXIT, 6, 0, 0);
  Add(&input, OP_THREAD_EXIT, 2, 0, 0);
  threads_program_read(&program, input.data(), input.size());
  ASSERT_EQ(7u, program.count);
  const threads_step *steps = program.steps;
  EXPECT_EQ(0, program.first[0]);
  EXPECT_EQ(1, program.first[2]);
  EXPECT_EQ(7, steps[0].stop_points);
  EXPECT_EQ(9, steps[0].stop_accesses);
  EXPECT_EQ(THREADS_FOR_EVER, steps[0].stop_lasts);
  EXPECT_EQ(0, steps[1].before);
  EXPECT_EQ(2, steps[1].thread);
  EXPECT_EQ(THREADS_NO_STEP, steps[2].before);
  EXPECT_EQ(THREADS_RACE, steps[3].role);
  EXPECT_EQ(3, steps[3].need);
  EXPECT_EQ(THREADS_RACE, steps[4].role);
  EXPECT_EQ(3, steps[4].need);
  EXPECT_NE(steps[3].thread, steps[4].thread);
  EXPECT_EQ(THREADS_FORK, steps[5].role);
  EXPECT_EQ(5, steps[5].need);
  EXPECT_EQ(THREADS_EXIT, steps[6].role);
}

}  // namespace
