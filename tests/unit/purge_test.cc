// SPDX-License-Identifier: Apache-2.0
//
// When free memory goes back to the operating system: after options.purge_delay_ms, also on threads that only free, at
// once on hak_trim; and how rarely the operating system is asked. The clock of os_memory_fake.c stands still until it is
// set, so that nothing here depends on how fast the machine is. At checks level 2 (Box) spans are purged as soon as they are
// free, and so are the records of blocks whose slab is: there this is about runs.

#include <algorithm>
#include <string_view>
#include <thread>

#include "allocator/os/os_memory_fake.h"
#include "tests/unit/test_support.h"

namespace hak_test {
namespace {

constexpr uint64_t kDelay =
#define HAK_OPTION(name, initial, least, greatest, meaning) +(#name == std::string_view("purge_delay_ms") ? initial : 0)
#include "allocator/base/options.def"
#undef HAK_OPTION
    ;

class PurgeTest : public AllocatorTest {
 protected:
  void SetUp() override {
    AllocatorTest::SetUp();
    ASSERT_EQ(nullptr, getenv("HAKMEM_OPTIONS")) << "this test is about the default delay";
    Advance(1);
    hak_trim(0);
    ASSERT_EQ(0u, Statistics().dirty_bytes);
  }
  void TearDown() override {
    ExpectTrimLeavesNothing();
    EXPECT_EQ(0u, os_fake_errors());
    AllocatorTest::TearDown();
  }

  static void Advance(uint64_t milliseconds) {
    static uint64_t now = 1000;
    os_fake_set_time(now += milliseconds);
  }

  // Bytes of free memory that were given back; with the Box without those of its records.
  static size_t PurgedBytes() { return IsBox() ? Statistics().purged_bytes : os_fake_purged_bytes(); }
  static bool IsBox() { return ChecksLevel() == 2; }

  static std::vector<void *> Allocate(size_t count, size_t size) {
    std::vector<void *> blocks(count);
    for (void *&block : blocks) {
      block = hak_malloc(size);
      if (block == nullptr) abort();
      memset(block, 1, size < 4096 ? size : 4096);
    }
    return blocks;
  }
  // The largest blocks that wait for their purge: spans, or with the Box as many bytes in runs of a superslab.
  static std::vector<void *> AllocateVeryLarge() {
    return IsBox() ? Allocate(10, 2 * kMiB - kKiB) : Allocate(5, 3 * kMiB);
  }
  static void Free(const std::vector<void *> &blocks) {
    for (void *block : blocks) hak_free(block);
  }
};

TEST_F(PurgeTest, NothingIsGivenBackBeforeTheDelay) {
  const size_t purged = PurgedBytes();
  Free(Allocate(30, 500 * kKiB));
  Free(AllocateVeryLarge());
  Free(Allocate(20000, 500));
  EXPECT_GE(Statistics().dirty_bytes, 30 * 500 * kKiB);
  Advance(kDelay - 1);
  for (int i = 0; i < 100; ++i) Free(Allocate(10, 100 * kKiB));
  EXPECT_EQ(purged, PurgedBytes());
}

TEST_F(PurgeTest, LargeBlocksAreGivenBackAfterTheDelay) {
  for (size_t size : {70 * kKiB, 500 * kKiB, 3 * kMiB}) {
    if (IsBox() && size > 2 * kMiB) continue;  // given back at once
    SCOPED_TRACE("blocks of " + std::to_string(size));
    const std::vector<void *> blocks = Allocate(64 * kMiB / size, size);
    void *const other = hak_malloc(200 * kKiB);
    Free(blocks);
    const size_t dirty = Statistics().dirty_bytes;
    const size_t purged = PurgedBytes();
    EXPECT_GE(dirty, 60 * kMiB);
    Advance(kDelay);
    // The next calls that go beyond the caches see to it, a part each.
    hak_free(other);
    EXPECT_GT(PurgedBytes(), purged);
    for (int i = 0; i < 40 && Statistics().dirty_bytes > kMiB; ++i) hak_free(hak_malloc(200 * kKiB));
    EXPECT_LE(Statistics().dirty_bytes, kMiB);
    EXPECT_GE(PurgedBytes(), purged + 60 * kMiB);
    EXPECT_GE(Statistics().purged_bytes, PurgedBytes() - purged);
  }
}

TEST_F(PurgeTest, OneCallDoesNotGiveEverythingBack) {
  Free(Allocate(512 * kMiB / (500 * kKiB), 500 * kKiB));
  Advance(kDelay);
  void *const block = hak_malloc(200 * kKiB);
  const size_t calls = os_fake_calls(OS_FAKE_PURGE | OS_FAKE_RELEASE);
  hak_free(block);
  EXPECT_LE(os_fake_calls(OS_FAKE_PURGE | OS_FAKE_RELEASE) - calls, 300u);
  EXPECT_GT(Statistics().dirty_bytes, 100 * kMiB);
}

// A consumer thread that never allocates still gives memory back: what it freed earlier than the delay ago.
TEST_F(PurgeTest, AThreadThatOnlyFreesGivesMemoryBack) {
  for (size_t size : {size_t{100}, size_t{2000}, size_t{20000}, 200 * kKiB}) {
    SCOPED_TRACE("blocks of " + std::to_string(size));
    constexpr size_t kPart = 32 * kMiB;
    const std::vector<void *> first = Allocate(kPart / size, size), second = Allocate(kPart / size, size);
    const size_t purged = PurgedBytes();
    std::thread([&] {
      Free(first);
      EXPECT_EQ(purged, PurgedBytes());
      Advance(kDelay);
      Free(second);
    }).join();
    // All of the first part, but for what lies in caches or shares slabs with blocks that do.
    EXPECT_GE(PurgedBytes() - purged, kPart / 2);
    hak_trim(0);
  }
}

// Blocks that were freed one after the other over a long time are given back as their time comes, not all at the end.
TEST_F(PurgeTest, TheOldestGoFirst) {
  const std::vector<void *> blocks = Allocate(60, 2 * kMiB - kKiB);
  size_t most_dirty = 0;
  for (void *block : blocks) {
    Advance(kDelay / 10 + 1);
    hak_free(block);
    most_dirty = std::max(most_dirty, Statistics().dirty_bytes);
  }
  EXPECT_GE(most_dirty, 8 * kMiB) << "some is kept for reuse";
  EXPECT_LE(most_dirty, 16 * 2 * kMiB) << "ten or eleven blocks are younger than the delay";
}

TEST_F(PurgeTest, TrimGivesBackAtOnce) {
  const size_t purged = PurgedBytes();
  Free(Allocate(20000, 500));
  Free(Allocate(100, 100 * kKiB));
  Free(AllocateVeryLarge());
  EXPECT_EQ(purged, PurgedBytes()) << "the clock stands still";
  EXPECT_EQ(1, hak_trim(0));
  EXPECT_EQ(0u, Statistics().dirty_bytes);
  EXPECT_EQ(0u, Statistics().committed_bytes);
  EXPECT_GE(PurgedBytes() - purged, 20 * kMiB);
  EXPECT_EQ(0, hak_trim(0));
}

// Memory that is used again within the delay costs no system call, up to 32 MiB: from there on it is given back at once.
TEST_F(PurgeTest, ReuseCostsNoSystemCalls) {
  for (size_t size : {size_t{100}, size_t{32768}, size_t{32769}, 64 * kKiB, 64 * kKiB + 1, 300 * kKiB, kMiB, kMiB + 1,
                      2 * kMiB, 2 * kMiB + 1, 5 * kMiB, 30 * kMiB}) {
    if (IsBox() && size >= 2 * kMiB) continue;  // given back at once
    SCOPED_TRACE("blocks of " + std::to_string(size));
    Free(Allocate(4, size));
    const size_t calls = os_fake_calls(OS_FAKE_ALL);
    for (int i = 0; i < 1000; ++i) {
      if (i % 100 == 0) Advance(kDelay / 2);  // time goes by, but no memory lies idle for long
      void *blocks[4];
      for (void *&block : blocks) ASSERT_NE(nullptr, block = hak_malloc(size));
      for (void *block : blocks) hak_free(block);
    }
    EXPECT_LE(os_fake_calls(OS_FAKE_ALL) - calls, 10u);
    hak_trim(0);
  }
}

// A block that grows and shrinks across the boundary between two kinds of memory.
TEST_F(PurgeTest, ReallocAtBoundariesCostsNoSystemCalls) {
  for (size_t boundary : {size_t{32768}, 64 * kKiB, kMiB, 2 * kMiB, 4 * kMiB}) {
    if (IsBox() && boundary >= 2 * kMiB) continue;  // on one side of it lie spans, which are given back at once
    SCOPED_TRACE("around " + std::to_string(boundary));
    void *block = hak_malloc(boundary - 10);
    for (int i = 0; i < 4; ++i) {
      block = hak_realloc(block, boundary + 10);
      block = hak_realloc(block, boundary - 10);
    }
    const size_t calls = os_fake_calls(OS_FAKE_ALL & ~OS_FAKE_MOVE);
    for (int i = 0; i < 500; ++i) {
      block = hak_realloc(block, boundary + 10);
      block = hak_realloc(block, boundary - 10);
    }
    EXPECT_LE(os_fake_calls(OS_FAKE_ALL & ~OS_FAKE_MOVE) - calls, 10u);
    hak_free(block);
  }
}

// Given back and used again: the memory is there, and zero where calloc says so.
TEST_F(PurgeTest, PurgedMemoryIsUsedAgain) {
  for (int round = 0; round < 3; ++round) {
    std::vector<void *> blocks = Allocate(40, 500 * kKiB);
    for (void *block : blocks) memset(block, 0xAA, 500 * kKiB);
    // Every second superslab's worth stays live, so that purged slabs lie between live ones.
    for (size_t i = 0; i < blocks.size(); i += 2) {
      hak_free(blocks[i]);
      blocks[i] = nullptr;
    }
    Advance(kDelay);
    for (int i = 0; i < 20; ++i) hak_free(hak_malloc(70 * kKiB));
    for (size_t i = 0; i < blocks.size(); i += 2) {
      blocks[i] = hak_calloc(1, 500 * kKiB);
      ASSERT_NE(nullptr, blocks[i]);
      EXPECT_EQ(kNone, FirstNonZero(blocks[i], hak_usable_size(blocks[i])));
    }
    for (size_t i = 1; i < blocks.size(); i += 2) {
      const unsigned char *const bytes = static_cast<unsigned char *>(blocks[i]);
      for (size_t at = 0; at < 500 * kKiB; at += 512) ASSERT_EQ(0xAA, bytes[at]) << "a live block lost byte " << at;
    }
    Free(blocks);
  }
}

}  // namespace
}  // namespace hak_test
