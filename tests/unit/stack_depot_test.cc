// SPDX-License-Identifier: Apache-2.0
//
// Stacks, each kept once under a number: page_arena/stack_depot. The stacks are the test's: it has a backtrace of its own.

#include "allocator/page_arena/stack_depot.h"

#include <gtest/gtest.h>
#include <stdint.h>
#include <string.h>

#include <atomic>
#include <chrono>
#include <map>
#include <thread>
#include <vector>

#include "allocator/base/options.h"
#include "allocator/os/os_memory_fake.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"

namespace {

using Stack = std::vector<uintptr_t>;

thread_local const Stack *current_stack;
thread_local void (*while_unwinding)();

}  // namespace

extern "C" int backtrace(void **frames, int most) {
  if (while_unwinding != nullptr) while_unwinding();
  const size_t room = static_cast<size_t>(most);
  const size_t count = current_stack->size() < room ? current_stack->size() : room;
  for (size_t i = 0; i < count; ++i) frames[i] = reinterpret_cast<void *>((*current_stack)[i]);
  return static_cast<int>(count);
}

namespace {

// inner is the innermost frame that is not the allocator's; by default none is known.
uint32_t Record(const Stack &stack, uintptr_t inner = UINTPTR_MAX) {
  current_stack = &stack;
  return stack_depot_record(reinterpret_cast<void *>(inner));
}

// The stack that a number stands for.
Stack Kept(uint32_t number) {
  const struct stack_depot_entry *const entry = stack_depot_entry(number);
  EXPECT_NE(nullptr, entry) << "number " << number;
  if (entry == nullptr) return {};
  EXPECT_EQ(number, entry->number);
  Stack stack;
  for (uint32_t i = 0; i < entry->count; ++i) stack.push_back(reinterpret_cast<uintptr_t>(entry->frames[i]));
  return stack;
}

FRESH_TEST(StackDepotTest, EachStackHasOneNumber) {
  options.box_stacks = 32;
  EXPECT_EQ(0u, stack_depot_count());
  EXPECT_EQ(1u, Record({1, 2, 3}));
  EXPECT_EQ(2u, Record({1, 2, 4}));
  // The beginning of another one, and one that goes on.
  EXPECT_EQ(3u, Record({1, 2}));
  EXPECT_EQ(4u, Record({1, 2, 3, 4}));
  EXPECT_EQ(1u, Record({1, 2, 3}));
  EXPECT_EQ(3u, Record({1, 2}));
  EXPECT_EQ(4u, stack_depot_count());
  EXPECT_EQ((Stack{1, 2, 3}), Kept(1));
  EXPECT_EQ((Stack{1, 2, 4}), Kept(2));
  EXPECT_EQ((Stack{1, 2}), Kept(3));
  EXPECT_EQ((Stack{1, 2, 3, 4}), Kept(4));
  EXPECT_EQ(0u, stack_depot_entry(1)->live_blocks + stack_depot_entry(1)->live_bytes);
}

FRESH_TEST(StackDepotTest, OtherNumbersStandForNothing) {
  options.box_stacks = 32;
  EXPECT_EQ(nullptr, stack_depot_entry(0));
  EXPECT_EQ(nullptr, stack_depot_entry(1));
  EXPECT_EQ(1u, Record({7}));
  EXPECT_NE(nullptr, stack_depot_entry(1));
  EXPECT_EQ(nullptr, stack_depot_entry(0));
  EXPECT_EQ(nullptr, stack_depot_entry(2));
  EXPECT_EQ(nullptr, stack_depot_entry(UINT32_MAX));
}

// As many frames as the option says, from the innermost that is not the allocator's.
FRESH_TEST(StackDepotTest, KeepsTheFramesThatAreAskedFor) {
  const Stack stack = {100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110};
  options.box_stacks = 4;
  EXPECT_EQ((Stack{103, 104, 105, 106}), Kept(Record(stack, 103)));
  EXPECT_EQ((Stack{100, 101, 102, 103}), Kept(Record(stack, 999)));
  options.box_stacks = 32;
  EXPECT_EQ((Stack{109, 110}), Kept(Record({102, 103, 104, 109, 110}, 109)));
  // No more than eight are the allocator's.
  EXPECT_EQ((Stack{108, 109, 110}), Kept(Record(stack, 108)));
  EXPECT_EQ(stack, Kept(Record(stack, 109)));
}

FRESH_TEST(StackDepotTest, WithoutFramesThereIsNoNumber) {
  options.box_stacks = 8;
  EXPECT_EQ(0u, Record({}));
  EXPECT_EQ(0u, stack_depot_count());
  options.box_stacks = 0;
  EXPECT_EQ(0u, Record({1, 2, 3}));
  EXPECT_EQ(0u, stack_depot_count());
}

// More than one page of the index, and more than one stack in a bucket of the hash table.
FRESH_TEST(StackDepotTest, ManyStacks) {
  options.box_stacks = 32;
  hak_test::Random random(hak_test::FirstSeed());
  std::map<Stack, uint32_t> numbers;
  for (int i = 0; i < 20000; ++i) {
    Stack stack(random.Between(1, 32));
    for (uintptr_t &frame : stack) frame = random.OneIn(2) ? random.Below(3) : random.Next();
    const uint32_t number = Record(stack);
    const auto known = numbers.emplace(stack, number);
    ASSERT_EQ(known.first->second, number);
    ASSERT_EQ(numbers.size(), stack_depot_count());
    if (known.second) ASSERT_EQ(stack_depot_count(), number) << "numbers are given in order";
  }
  for (const auto &[stack, number] : numbers) ASSERT_EQ(stack, Kept(number));
  for (const auto &[stack, number] : numbers) ASSERT_EQ(number, Record(stack));
}

// The index has room for so many; those that come later are not recorded, and those that are there are still found.
FRESH_TEST(StackDepotTest, TheIndexEnds) {
  constexpr uint32_t kMost = 1024 * 1024;
  options.box_stacks = 1;
  Stack stack = {0};
  for (uint32_t i = 1; i <= kMost; ++i) {
    stack[0] = i;
    ASSERT_EQ(i, Record(stack));
  }
  EXPECT_EQ(0u, Record({kMost + 1}));
  EXPECT_EQ(kMost, stack_depot_count());
  EXPECT_EQ(kMost, Record({kMost}));
  EXPECT_EQ((Stack{kMost}), Kept(kMost));
  EXPECT_EQ((Stack{1}), Kept(1));
}

FRESH_TEST(StackDepotTest, WithoutMemoryThereIsNoNumber) {
  options.box_stacks = 32;
  os_fake_fail(OS_FAKE_MAP, 0, SIZE_MAX);
  EXPECT_EQ(0u, Record({1, 2, 3}));
  EXPECT_EQ(0u, stack_depot_count());
  os_fake_reset();
  EXPECT_EQ(1u, Record({1, 2, 3})) << "it is not tried again";
  // What is known needs none.
  uint32_t known = 1;
  os_fake_fail(OS_FAKE_MAP, 0, SIZE_MAX);
  for (uintptr_t i = 0;; ++i) {
    ASSERT_LT(i, 1000000u) << "memory does not end";
    const uint32_t number = Record({i, i, i, i});
    if (number == 0) break;
    known = number;
  }
  EXPECT_EQ(known, stack_depot_count());
  EXPECT_EQ(1u, Record({1, 2, 3}));
  os_fake_reset();
  EXPECT_EQ(known + 1, Record({9, 9, 9})) << "it is not tried again";
}

uint32_t number_while_unwinding;

// Unwinding may allocate, which comes back here.
FRESH_TEST(StackDepotTest, UnwindingMayComeBack) {
  options.box_stacks = 32;
  number_while_unwinding = 99;
  while_unwinding = [] {
    static int depth;
    if (++depth > 1) hak_test::ChildFails("the stack of unwinding is unwound");
    number_while_unwinding = stack_depot_record(nullptr);
    --depth;
  };
  EXPECT_EQ(1u, Record({1}));
  EXPECT_EQ(STACK_DEPOT_OWN, number_while_unwinding);
  EXPECT_EQ(nullptr, stack_depot_entry(STACK_DEPOT_OWN));
  while_unwinding = nullptr;
  EXPECT_EQ(2u, Record({2})) << "afterwards it is as before";
}

FRESH_TEST(StackDepotTest, ThreadsAgree) {
  options.box_stacks = 32;
  constexpr size_t kThreads = 4, kStacks = 2000;
  std::vector<uint32_t> numbers[kThreads];
  std::atomic<size_t> waiting{kThreads};
  std::vector<std::thread> threads;
  for (std::vector<uint32_t> &own : numbers) {
    threads.emplace_back([&own, &waiting] {
      --waiting;
      while (waiting != 0) std::this_thread::yield();
      for (uintptr_t i = 0; i < kStacks; ++i) {
        own.push_back(Record({i, i * i, 5}));
        EXPECT_EQ((Stack{i, i * i, 5}), Kept(own.back()));
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(kStacks, stack_depot_count());
  for (const std::vector<uint32_t> &own : numbers) EXPECT_EQ(numbers[0], own);
}

// fork holds the lock while the process is copied.
FRESH_TEST(StackDepotTest, LockKeepsOthersOut) {
  options.box_stacks = 32;
  stack_depot_lock();
  std::thread other([] { EXPECT_EQ(1u, Record({1})); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(0u, stack_depot_count()) << "somebody got in";
  stack_depot_unlock();
  other.join();
  EXPECT_EQ(1u, stack_depot_count());
}

}  // namespace
