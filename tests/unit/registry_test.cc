// SPDX-License-Identifier: Apache-2.0
//
// What an address is: page_arena/registry.

#include "allocator/page_arena/registry.h"

#include <gtest/gtest.h>
#include <string.h>

#include <set>
#include <vector>

#include "allocator/os/os_memory_fake.h"
#include "allocator/page_arena/page_arena.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/page_arena_support.h"
#include "tests/unit/test_support.h"

namespace {

size_t WindowBytes() { return registry.slab_count << HAK_SLAB_SHIFT; }

// Addresses in which the registry must not find anything, before it is initialised and after.
std::vector<uintptr_t> StrangeAddresses() {
  static int in_data;
  int on_stack;
  return {0,
          1,
          15,
          HAK_SLAB_BYTES,
          UINTPTR_MAX,
          UINTPTR_MAX - HAK_SLAB_BYTES,
          UINTPTR_MAX / 2,
          uintptr_t{1} << 47,
          reinterpret_cast<uintptr_t>(&in_data),
          reinterpret_cast<uintptr_t>(&on_stack),
          reinterpret_cast<uintptr_t>(&StrangeAddresses),
          registry.base - 1,
          registry.base - HAK_SLAB_BYTES,
          registry.base - HAK_SUPERSLAB_BYTES,
          registry.base + WindowBytes(),
          registry.base + WindowBytes() + HAK_SUPERSLAB_BYTES,
          registry.base + 2 * WindowBytes()};
}

void ExpectNothingAt(const std::vector<uintptr_t> &addresses) {
  for (const uintptr_t address : addresses) {
    EXPECT_EQ(0u, registry_class_of(address)) << std::hex << address;
    EXPECT_EQ(nullptr, registry_find_superslab(address)) << std::hex << address;
    EXPECT_EQ(nullptr, registry_find_run(address)) << std::hex << address;
  }
}

FRESH_TEST(RegistryTest, NothingIsFoundBeforeInitialisation) { ExpectNothingAt(StrangeAddresses()); }

FRESH_TEST(RegistryTest, WithoutTablesItIsTriedAgain) {
  os_fake_fail(OS_FAKE_MAP, 0, 2);
  EXPECT_FALSE(page_arena_initialize());
  ExpectNothingAt(StrangeAddresses());
  EXPECT_FALSE(page_arena_initialize());
  EXPECT_TRUE(page_arena_initialize());
  ExpectNothingAt(StrangeAddresses());
  const uintptr_t base = registry.base;
  EXPECT_TRUE(page_arena_initialize());
  EXPECT_EQ(base, registry.base) << "initialised twice";
  EXPECT_EQ(3u, os_fake_calls(OS_FAKE_MAP));
}

FRESH_TEST(RegistryTest, WindowWithoutALimit) {
  ASSERT_TRUE(page_arena_initialize());
#ifdef HAK_SANITIZER_HAS_MALLOC
  EXPECT_EQ(HAK_WINDOW_MAX_BYTES / 8, WindowBytes());
#else
  EXPECT_EQ(HAK_WINDOW_MAX_BYTES, WindowBytes());
#endif
  EXPECT_EQ(registry.slab_count, registry.superslab_count * HAK_SUPERSLAB_SLABS);
  EXPECT_NE(0u, registry.base);
  EXPECT_EQ(0u, registry.base % HAK_SUPERSLAB_BYTES);
  EXPECT_EQ(0u, os_fake_calls(OS_FAKE_MAP_AT)) << "the window itself is not mapped";
  ExpectNothingAt(StrangeAddresses());
  // Inside of the window, too, there is nothing yet.
  ExpectNothingAt({registry.base, registry.base + WindowBytes() - 1, registry.base + WindowBytes() / 2 + 12345});
}

// The tables of a limited process take little of what it may have.
FRESH_TEST(RegistryTest, WindowWithALimit) {
  const size_t limit = size_t{1} << 30;
  os_fake_set_limit(limit);
  ASSERT_TRUE(page_arena_initialize());
  EXPECT_GE(WindowBytes(), 4 * limit);
  EXPECT_LT(WindowBytes(), HAK_WINDOW_MAX_BYTES);
  EXPECT_LT(os_fake_mapped_bytes(), limit / 100);
  ExpectNothingAt(StrangeAddresses());
}

// Every slab of a run, and no other, has the class; a large run has none.
FRESH_TEST(RegistryTest, RunsAreFoundByEveryAddressInThem) {
  ASSERT_TRUE(page_arena_initialize());
  bool zeroed;
  struct slab *const one = hak_test::TakeRun(1, 7, &zeroed);
  struct slab *const three = hak_test::TakeRun(3, 55, &zeroed);
  struct slab *const large = page_arena_take_run(2, 0, &zeroed);
  struct slab *const last = hak_test::TakeRun(1, 1, &zeroed);
  ASSERT_NE(nullptr, last);
  struct superslab *const superslab = registry_find_superslab(one->address);
  ASSERT_NE(nullptr, superslab);
  size_t used = 0;
  for (uintptr_t offset = 0; offset < HAK_SUPERSLAB_BYTES; offset += 4093) {
    const uintptr_t address = superslab->address + offset;
    EXPECT_EQ(superslab, registry_find_superslab(address));
    struct slab *expected = nullptr;
    for (struct slab *run : {one, three, large, last}) {
      if (address - run->address < slab_run_bytes(run)) expected = run;
    }
    EXPECT_EQ(expected, registry_find_run(address)) << "offset " << offset;
    EXPECT_EQ(expected == nullptr ? 0u : expected->size_class, registry_class_of(address)) << "offset " << offset;
    used += expected != nullptr;
  }
  EXPECT_GT(used, 0u);
  EXPECT_EQ(7u, registry_class_of(one->address));
  EXPECT_EQ(55u, registry_class_of(three->address + 3 * HAK_SLAB_BYTES - 1));
  EXPECT_EQ(0u, registry_class_of(large->address));

  const uintptr_t three_address = three->address;
  page_arena_give_run(three);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(0u, registry_class_of(three_address + static_cast<uintptr_t>(i) * HAK_SLAB_BYTES));
    EXPECT_EQ(nullptr, registry_find_run(three_address + static_cast<uintptr_t>(i) * HAK_SLAB_BYTES));
  }
  EXPECT_EQ(7u, registry_class_of(one->address));
  EXPECT_EQ(1u, registry_class_of(last->address));
}

FRESH_TEST(RegistryTest, SpansAreNoRuns) {
  ASSERT_TRUE(page_arena_initialize());
  struct superslab *const span = page_arena_take_span(3, 0);
  ASSERT_NE(nullptr, span);
  EXPECT_EQ(SUPERSLAB_SPAN, span->state);
  for (uintptr_t offset = 0; offset < 3 * HAK_SUPERSLAB_BYTES; offset += HAK_SLAB_BYTES) {
    struct superslab *const found = registry_find_superslab(span->address + offset);
    ASSERT_NE(nullptr, found);
    EXPECT_EQ(offset / HAK_SUPERSLAB_BYTES * HAK_SUPERSLAB_BYTES, found->address - span->address);
    EXPECT_EQ(nullptr, registry_find_run(span->address + offset));
    EXPECT_EQ(0u, registry_class_of(span->address + offset));
  }
  page_arena_give_span(span);
  EXPECT_EQ(nullptr, registry_find_run(span->address)) << "free superslabs have no runs";
}

// The slab table's entries of neighbouring runs are neighbouring bytes: the last superslab of the window has some, too.
FRESH_TEST(RegistryTest, SetClassTouchesNoNeighbour) {
  ASSERT_TRUE(page_arena_initialize());
  for (const size_t first : {size_t{0}, size_t{100}, registry.slab_count - 16}) {
    for (const unsigned slabs : {1u, 2u, 15u, 16u}) {
      struct slab run = {};
      run.address = registry.base + (first << HAK_SLAB_SHIFT);
      run.run_slabs = static_cast<uint8_t>(slabs);
      registry_set_class(&run, 9);
      for (size_t i = 0; i < 16; ++i) {
        EXPECT_EQ(i < slabs ? 9u : 0u, registry_class_of(run.address + (i << HAK_SLAB_SHIFT)));
      }
      if (first > 0) EXPECT_EQ(0u, registry_class_of(run.address - 1));
      registry_set_class(&run, 0);
      EXPECT_EQ(0u, registry_class_of(run.address));
    }
  }
}

}  // namespace
