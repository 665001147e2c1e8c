// SPDX-License-Identifier: Apache-2.0
//
// hak_check_heap, and the report of what was never freed: api/check_heap. What is wrong is written into the heap's own records
// and into blocks, and taken back again.

#include "allocator/api/check_heap.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "allocator/base/options.h"
#include "allocator/base/size_class.h"
#include "allocator/os/misuse.h"
#include "allocator/page_arena/block_record.h"
#include "allocator/page_arena/large_block.h"
#include "allocator/page_arena/stack_depot.h"
#include "hakmem/hakmem.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"

namespace {

using hak_test::kMiB;

constexpr bool kIsBox = HAK_CHECKS_LEVEL == HAK_CHECKS_BOX;
constexpr bool kFills = HAK_BOX_FILLS;

// With a block of every kind before and behind what is looked for: nothing is left out.
constexpr size_t kSizes[] = {1, 100, 1000, 5000, 32768, 40000, 300000, 3 * kMiB};

unsigned char *Allocate(size_t size) {
  unsigned char *const block = static_cast<unsigned char *>(hak_malloc(size));
  if (block == nullptr) hak_test::ChildFails("no memory");
  memset(block, 0, size);
  return block;
}

void Fill(std::vector<unsigned char *> *blocks) {
  for (int i = 0; i < 3; ++i) {
    for (const size_t size : kSizes) blocks->push_back(Allocate(size));
  }
}

void ExpectWhole() {
  struct hak_misuse violation;
  memset(&violation, 0x77, sizeof violation);
  EXPECT_EQ(0, hak_check_heap(&violation)) << violation.message;
  EXPECT_EQ(HAK_MISUSE_NONE, violation.kind);
  EXPECT_EQ(sizeof violation, violation.size);
  EXPECT_STREQ(misuse_message(HAK_MISUSE_NONE), violation.message);
  EXPECT_EQ(0, hak_check_heap(nullptr));
}

// It is found, and nothing changes by that.
struct hak_misuse ExpectFound(enum hak_misuse_kind kind) {
  struct hak_misuse violation;
  for (int i = 0; i < 2; ++i) {
    memset(&violation, 0x77, sizeof violation);
    EXPECT_EQ(1, hak_check_heap(&violation));
    EXPECT_EQ(kind, violation.kind);
    EXPECT_EQ(sizeof violation, violation.size);
    EXPECT_STREQ("hak_check_heap", violation.function);
    EXPECT_STREQ(misuse_message(kind), violation.message);
  }
  EXPECT_EQ(1, hak_check_heap(nullptr));
  return violation;
}

// What allocates says who calls it.
thread_local uintptr_t caller;
thread_local bool unwinding_allocates;

}  // namespace

extern "C" int backtrace(void **frames, int most) {
  if (unwinding_allocates) (void)hak_malloc(30);
  if (most < 1) return 0;
  frames[0] = reinterpret_cast<void *>(caller);
  return 1;
}

namespace {

// A value that is another one for a while.
template <typename T>
class Overwritten {
 public:
  Overwritten(T *place, T value) : place_(place), before_(*place) { *place = value; }
  ~Overwritten() { *place_ = before_; }

 private:
  T *const place_;
  const T before_;
};

void ExpectByteIsFound(unsigned char *place, enum hak_misuse_kind kind, const unsigned char *block,
                       enum hak_block_state state) {
  SCOPED_TRACE("byte " + std::to_string(place - block) + " of the block");
  {
    const Overwritten<unsigned char> wrong(place, static_cast<unsigned char>(*place ^ 0x05));
    const struct hak_misuse violation = ExpectFound(kind);
    EXPECT_EQ(block, violation.block);
    EXPECT_EQ(place - block, violation.offset);
    if (kIsBox) EXPECT_EQ(state, violation.state);
    const unsigned size_class = registry_class_of(reinterpret_cast<uintptr_t>(block));
    EXPECT_EQ(size_class, violation.size_class);
    if (size_class != 0) EXPECT_EQ(size_class_usable(size_class), violation.usable_size);
  }
  ExpectWhole();
}

// In front of a block. The Box comes to the block before it first: for a live one, it is the byte behind.
void ExpectHeaderIsFound(unsigned char *block, enum hak_block_state state) {
  const struct slab *const run = registry_find_run(reinterpret_cast<uintptr_t>(block));
  if (kIsBox && run != nullptr && run->size_class != 0) {
    unsigned char *const previous = block - size_classes[run->size_class].stride;
    const struct block_record *const record = block_record_find(run, reinterpret_cast<uintptr_t>(previous));
    if (record != nullptr && record->state == HAK_BLOCK_LIVE) {
      ExpectByteIsFound(block - 1, HAK_MISUSE_NEXT_OVERWRITTEN, previous, HAK_BLOCK_LIVE);
      return;
    }
  }
  ExpectByteIsFound(block - 1, HAK_MISUSE_UNDERFLOW, block, state);
}

FRESH_TEST(CheckHeapTest, ANewHeapIsWhole) {
  ExpectWhole();
  hak_free(Allocate(100));
  ExpectWhole();
}

FRESH_TEST(CheckHeapTest, HeadersOfLiveBlocks) {
  std::vector<unsigned char *> blocks;
  Fill(&blocks);
  for (unsigned char *const block : blocks) {
    const unsigned size_class = registry_class_of(reinterpret_cast<uintptr_t>(block));
    if (size_class == 0 && !kFills) continue;  // only the Box has something there
    ExpectHeaderIsFound(block, HAK_BLOCK_LIVE);
  }
}

FRESH_TEST(CheckHeapTest, ReportsSayWhichBlock) {
  std::vector<unsigned char *> blocks;
  Fill(&blocks);
  unsigned char *const block = Allocate(500);  // the first of its class
  const Overwritten<unsigned char> wrong(block - 1, 0);
  const struct hak_misuse violation = ExpectFound(HAK_MISUSE_UNDERFLOW);
  EXPECT_EQ(size_class_of(500), violation.size_class);
  EXPECT_EQ(size_class_usable(violation.size_class), violation.usable_size);
  EXPECT_EQ(kIsBox ? 500u : 0u, violation.requested_size);
  EXPECT_EQ(kIsBox ? static_cast<uint32_t>(getpid()) : 0u, violation.allocating_thread);
  EXPECT_EQ(0u, violation.freeing_thread);
}

// ---- What only the Box can see --------------------------------------------------------------------------------------

FRESH_TEST(CheckHeapTest, BytesBehindLiveBlocks) {
  std::vector<unsigned char *> blocks;
  Fill(&blocks);
  for (size_t i = 0; kFills && i < blocks.size(); ++i) {
    const size_t size = kSizes[i % (sizeof kSizes / sizeof *kSizes)];
    ExpectByteIsFound(blocks[i] + size, HAK_MISUSE_OVERFLOW, blocks[i], HAK_BLOCK_LIVE);
  }
}

FRESH_TEST(CheckHeapTest, BytesOfFreeBlocks) {
  options.box_quarantine_kib = 1 << 20;  // room for the large ones
  std::vector<unsigned char *> blocks;
  Fill(&blocks);
  for (size_t i = 0; kFills && i < blocks.size(); i += 2) {
    const size_t size = kSizes[i % (sizeof kSizes / sizeof *kSizes)];
    hak_free(blocks[i]);
    ExpectByteIsFound(blocks[i], HAK_MISUSE_WRITE_AFTER_FREE, blocks[i], HAK_BLOCK_QUARANTINED);
    ExpectByteIsFound(blocks[i] + size - 1, HAK_MISUSE_WRITE_AFTER_FREE, blocks[i], HAK_BLOCK_QUARANTINED);
    if (registry_class_of(reinterpret_cast<uintptr_t>(blocks[i])) == 0) continue;
    ExpectHeaderIsFound(blocks[i], HAK_BLOCK_QUARANTINED);
  }
}

// The link, and behind it what has been filled once.
FRESH_TEST(CheckHeapTest, BytesOfBlocksInLists) {
  unsigned char *const block = Allocate(1000), *const neighbour = Allocate(1000);
  options.box_quarantine_blocks = 0;
  std::thread([=] { hak_free(block); }).join();
  if (kFills) {
    ExpectByteIsFound(block, HAK_MISUSE_WRITE_AFTER_FREE, block, HAK_BLOCK_CACHED);
    ExpectByteIsFound(block + 8, HAK_MISUSE_WRITE_AFTER_FREE, block, HAK_BLOCK_CACHED);
    ExpectByteIsFound(block + 999, HAK_MISUSE_WRITE_AFTER_FREE, block, HAK_BLOCK_CACHED);
    ExpectHeaderIsFound(block, HAK_BLOCK_CACHED);
  }
  hak_trim(0);
  if (kFills) {
    ExpectByteIsFound(block, HAK_MISUSE_WRITE_AFTER_FREE, block, HAK_BLOCK_FREE);
    ExpectByteIsFound(block + 999, HAK_MISUSE_WRITE_AFTER_FREE, block, HAK_BLOCK_FREE);
    ExpectHeaderIsFound(block, HAK_BLOCK_FREE);
  }
  hak_free(neighbour);
}

// Slabs that went back, and whole superslabs.
FRESH_TEST(CheckHeapTest, BytesOfFreeMemory) {
  std::vector<unsigned char *> blocks;
  Fill(&blocks);
  unsigned char *const kept = Allocate(1);
  for (unsigned char *const block : blocks) hak_free(block);
  hak_trim(0);
  ExpectWhole();
  for (unsigned char *const block : blocks) {
    if (registry_find_run(reinterpret_cast<uintptr_t>(block)) != nullptr || !kFills) continue;
    {
      const Overwritten<unsigned char> wrong(block, 7);
      const struct hak_misuse violation = ExpectFound(HAK_MISUSE_WRITE_AFTER_FREE);
      EXPECT_EQ(block, violation.pointer);
      EXPECT_EQ(nullptr, violation.block);
    }
    ExpectWhole();
  }
  hak_free(kept);
}

// ---- Counts ---------------------------------------------------------------------------------------------------------

FRESH_TEST(CheckHeapTest, CountsOfASlab) {
  std::vector<unsigned char *> blocks;
  Fill(&blocks);
  struct slab *const run = registry_find_run(reinterpret_cast<uintptr_t>(blocks[1]));
  ASSERT_NE(nullptr, run);
  for (uint32_t *const count : {&run->used, &run->free_count}) {
    const Overwritten<uint32_t> wrong(count, *count + 1);
    const struct hak_misuse violation = ExpectFound(HAK_MISUSE_COUNTS);
    EXPECT_EQ(reinterpret_cast<void *>(run->address), violation.pointer);
    EXPECT_EQ(run->size_class, violation.size_class);
    EXPECT_EQ(nullptr, violation.block);
  }
  {
    const Overwritten<uint32_t> wrong(&run->used, run->used - 1);
    ExpectFound(HAK_MISUSE_COUNTS);
  }
  // Their sum is right, but so many blocks are not free.
  if (kIsBox) {
    const Overwritten<uint32_t> used(&run->used, run->used - 1);
    const Overwritten<uint32_t> free_count(&run->free_count, run->free_count + 1);
    ExpectFound(HAK_MISUSE_COUNTS);
  }
  // A sum that is right because it overflows.
  {
    const Overwritten<uint32_t> used(&run->used, run->carved + 1);
    const Overwritten<uint32_t> free_count(&run->free_count, UINT32_MAX);
    ExpectFound(HAK_MISUSE_COUNTS);
  }
  ExpectWhole();
}

FRESH_TEST(CheckHeapTest, MoreBlocksThanASlabHasRoomFor) {
  struct slab *run;
  do {
    run = registry_find_run(reinterpret_cast<uintptr_t>(Allocate(5000)));
    ASSERT_NE(nullptr, run);
  } while (run->carved < size_classes[run->size_class].blocks);
  ExpectWhole();
  {
    const Overwritten<uint32_t> carved(&run->carved, run->carved + 1), used(&run->used, run->used + 1);
    ExpectFound(HAK_MISUSE_COUNTS);
  }
  ExpectWhole();
}

// ---- The call itself ------------------------------------------------------------------------------------------------

FRESH_TEST(CheckHeapTest, ErrnoStays) {
  unsigned char *const block = Allocate(100), *const large = Allocate(100000);
  hak_free(Allocate(100000));
  // Nor where the kernel does not say which pages were touched.
  const struct rlimit none = {0, 0};
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
  errno = EDOM;
  EXPECT_EQ(0, hak_check_heap(nullptr));
  EXPECT_EQ(EDOM, errno);
  EXPECT_LE(100000u, hak_usable_size(large));
  EXPECT_EQ(EDOM, errno);
  const Overwritten<unsigned char> wrong(block - 1, 0);
  EXPECT_EQ(1, hak_check_heap(nullptr));
  EXPECT_EQ(EDOM, errno);
}

// The locks are free again, whatever was found.
FRESH_TEST(CheckHeapTest, LocksAreGivenBack) {
  unsigned char *const block = Allocate(100);
  ExpectWhole();
  {
    const Overwritten<unsigned char> wrong(block - 1, 0);
    ExpectFound(HAK_MISUSE_UNDERFLOW);
  }
  std::vector<unsigned char *> blocks;
  for (int i = 0; i < 100; ++i) Fill(&blocks);
  for (unsigned char *each : blocks) hak_free(each);
  hak_trim(0);
  ExpectWhole();
}

// ---- What was never freed -------------------------------------------------------------------------------------------

std::string Leaks() {
  FILE *const file = tmpfile();
  const int before = dup(STDERR_FILENO);
  dup2(fileno(file), STDERR_FILENO);
  check_heap_print_leaks();
  dup2(before, STDERR_FILENO);
  close(before);
  std::string text(100000, '\0');
  rewind(file);
  text.resize(fread(&text[0], 1, text.size(), file));
  fclose(file);
  return text;
}

FRESH_TEST(CheckHeapTest, NoLeaks) {
  EXPECT_EQ("", Leaks());
  hak_free(Allocate(100));
  hak_free(Allocate(100000));
  hak_free(Allocate(3 * kMiB));
  EXPECT_EQ("", Leaks());
}

FRESH_TEST(CheckHeapTest, LeaksWithoutStacks) {
  hak_free(Allocate(70));
  (void)Allocate(100);
  (void)Allocate(1000);
  (void)Allocate(100000);
  (void)Allocate(3 * kMiB);
  const std::string bytes = std::to_string(100 + 1000 + 100000 + 3 * kMiB);
  const std::string line =
      "hakmem: never freed: " + bytes + " bytes in 4 blocks whose allocation was not recorded (box_stacks)\n";
  EXPECT_EQ(kIsBox ? line : "", Leaks());
}

// Blocks by the stack that allocated them; those with the most bytes come first, and no more than 20 stacks.
FRESH_TEST(CheckHeapTest, LeaksByStack) {
  options.box_stacks = 4;
  std::map<size_t, uintptr_t> stacks;  // by their bytes
  for (uintptr_t stack = 1; stack <= 25; ++stack) {
    const size_t size = stack * 7 % 26;
    stacks[size * 11] = caller = stack;
    (void)Allocate(size);
    (void)Allocate(size * 10);
    hak_free(Allocate(5000));
  }
  options.box_stacks = 0;
  (void)Allocate(7);
  std::string expected;
  size_t groups = 0, other_bytes = 0;
  for (auto each = stacks.rbegin(); each != stacks.rend(); ++each, ++groups) {
    if (groups >= 20) {
      other_bytes += each->first;
      continue;
    }
    char line[100];
    snprintf(line, sizeof line, "hakmem: never freed: %zu bytes in 2 blocks allocated at\n    0x%zx \n", each->first,
             each->second);
    expected += line;
  }
  expected +=
      "hakmem: never freed: " + std::to_string(other_bytes) + " bytes in 10 blocks allocated at 5 other places\n";
  expected += "hakmem: never freed: 7 bytes in 1 blocks whose allocation was not recorded (box_stacks)\n";
  EXPECT_EQ(kIsBox ? expected : "", Leaks());
}

// Blocks without a byte are never freed either.
FRESH_TEST(CheckHeapTest, LeaksOfNoBytes) {
  options.box_stacks = 4;
  caller = 0x10;
  for (int i = 0; i < 5; ++i) (void)Allocate(0);
  const char line[] = "hakmem: never freed: 0 bytes in 5 blocks allocated at\n    0x10 \n";
  EXPECT_EQ(kIsBox ? line : "", Leaks());
}

// The first stack loads what unwinds stacks.
FRESH_TEST(CheckHeapTest, WhatUnwindingAllocatesIsNoLeak) {
  options.box_stacks = 4;
  caller = 0x10;
  unwinding_allocates = true;
  stack_depot_prepare();
  unsigned char *const block = Allocate(100);
  unwinding_allocates = false;
  const char line[] = "hakmem: never freed: 100 bytes in 1 blocks allocated at\n    0x10 \n";
  EXPECT_EQ(kIsBox ? line : "", Leaks());
  hak_free(block);
}

}  // namespace
