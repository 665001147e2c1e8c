// SPDX-License-Identifier: Apache-2.0
//
// Where the window begins in address spaces that are not this machine's: of Valgrind, and with fewer bits: page_arena/registry.
// The test has an mmap of its own, which places the tables.

#include <errno.h>
#include <gtest/gtest.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "allocator/page_arena/page_arena.h"
#include "allocator/page_arena/registry.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/page_arena_support.h"

namespace {

// Where the next mapping goes that may go anywhere; 0: where the kernel likes.
uintptr_t next_place;

constexpr uintptr_t kGiB = uintptr_t{1} << 30, kTiB = uintptr_t{1} << 40;

size_t WindowBytes() { return registry.slab_count << HAK_SLAB_SHIFT; }

// The tables, and what of them holds the first superslab.
void ExpectRunsInWindow(uintptr_t tables) {
  EXPECT_EQ(tables, reinterpret_cast<uintptr_t>(registry.slab_class) & ~(kGiB - 1)) << "the tables are elsewhere";
  EXPECT_EQ(0u, registry.base % HAK_SUPERSLAB_BYTES);
  bool zeroed;
  struct slab *const run = hak_test::TakeRun(1, 7, &zeroed);
  ASSERT_NE(nullptr, run);
  EXPECT_GE(run->address, registry.base);
  EXPECT_LT(run->address, registry.base + WindowBytes());
  EXPECT_EQ(7u, registry_class_of(run->address));
}

}  // namespace

extern "C" void *mmap(void *where, size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  if (where == nullptr && next_place != 0) {
    where = reinterpret_cast<void *>(next_place);
    next_place = 0;
    flags |= MAP_FIXED_NOREPLACE;
  }
  return reinterpret_cast<void *>(syscall(SYS_mmap, where, bytes, protection, flags, file, offset));
}

namespace {

// Valgrind maps from the bottom up: the window is above the tables.
FRESH_TEST(RegistryPlaceTest, AboveLowTables) {
  next_place = 4 * kGiB;
  ASSERT_TRUE(page_arena_initialize());
  ExpectRunsInWindow(4 * kGiB);
  EXPECT_EQ(32 * kGiB, WindowBytes());
  EXPECT_EQ(20 * kGiB, registry.base);
}

// Fewer than 47 bits: half of what is below the tables is between them and the window.
FRESH_TEST(RegistryPlaceTest, HalfwayDown) {
  next_place = 24 * kTiB;
  ASSERT_TRUE(page_arena_initialize());
  ExpectRunsInWindow(24 * kTiB);
  EXPECT_EQ(HAK_WINDOW_MAX_BYTES, WindowBytes());
  EXPECT_EQ(12 * kTiB, registry.base);
}

// So few that the window is smaller, too.
FRESH_TEST(RegistryPlaceTest, SmallerWindow) {
  next_place = 3 * kTiB;
  ASSERT_TRUE(page_arena_initialize());
  ExpectRunsInWindow(3 * kTiB);
  EXPECT_EQ(kTiB / 2, WindowBytes());
  EXPECT_EQ(3 * kTiB / 2, registry.base);
}

}  // namespace
