// SPDX-License-Identifier: Apache-2.0
//
// errno is the program's: calls that succeed, and free and trim in any case, keep it, also where the kernel refuses something
// on the way (os_memory_fake.c sets errno then, as the kernel does).

#include <errno.h>

#include <thread>

#include "allocator/os/os_memory_fake.h"
#include "tests/unit/test_support.h"

namespace hak_test {
namespace {

class ErrnoTest : public AllocatorTest {
 protected:
  void SetUp() override {
    AllocatorTest::SetUp();
    hak_trim(0);
    os_fake_set_time(now_ += 1000000);
  }
  void TearDown() override {
    os_fake_fail(0, 0, 0);
    hak_trim(0);
    AllocatorTest::TearDown();
  }

  // Dirty memory whose purge is due, so that the next call that goes to the page arena tries it.
  static void MakePurgeDue() {
    void *blocks[8];
    for (void *&block : blocks) block = hak_malloc(300 * kKiB);
    for (void *block : blocks) hak_free(block);
    os_fake_set_time(now_ += 1000000);
    os_fake_fail(OS_FAKE_PURGE | OS_FAKE_RELEASE, 0, SIZE_MAX);
    errno = EDOM;
  }

  static uint64_t now_;
};

uint64_t ErrnoTest::now_ = 1000;

TEST_F(ErrnoTest, FreeOfALargeBlock) {
  void *const block = hak_malloc(400 * kKiB);
  MakePurgeDue();
  const size_t calls = os_fake_calls(OS_FAKE_PURGE);
  hak_free(block);
  EXPECT_GT(os_fake_calls(OS_FAKE_PURGE), calls) << "nothing was refused";
  EXPECT_EQ(EDOM, errno);
}

TEST_F(ErrnoTest, FreeOfManySmallBlocks) {
  std::vector<void *> blocks(5000);
  for (void *&block : blocks) block = hak_malloc(100);
  MakePurgeDue();
  const size_t calls = os_fake_calls(OS_FAKE_PURGE);
  for (void *block : blocks) {
    hak_free(block);
    ASSERT_EQ(EDOM, errno);
  }
  EXPECT_GT(os_fake_calls(OS_FAKE_PURGE), calls);
}

TEST_F(ErrnoTest, MallocThatSucceeds) {
  MakePurgeDue();
  const size_t calls = os_fake_calls(OS_FAKE_PURGE);
  void *const block = hak_malloc(200 * kKiB);
  EXPECT_GT(os_fake_calls(OS_FAKE_PURGE), calls);
  EXPECT_NE(nullptr, block);
  EXPECT_EQ(EDOM, errno);
  hak_free(block);
}

TEST_F(ErrnoTest, AlignedAllocationThatSucceeds) {
  MakePurgeDue();
  const size_t calls = os_fake_calls(OS_FAKE_PURGE);
  void *const block = hak_aligned_alloc(32 * kKiB, 200 * kKiB);
  EXPECT_GT(os_fake_calls(OS_FAKE_PURGE), calls);
  EXPECT_NE(nullptr, block);
  EXPECT_EQ(EDOM, errno);
  hak_free(block);
}

TEST_F(ErrnoTest, ReallocThatSucceeds) {
  void *block = hak_malloc(200 * kKiB);
  MakePurgeDue();
  const size_t calls = os_fake_calls(OS_FAKE_PURGE);
  block = hak_realloc(block, 100 * kKiB);
  EXPECT_GT(os_fake_calls(OS_FAKE_PURGE), calls);
  EXPECT_NE(nullptr, block);
  EXPECT_EQ(EDOM, errno);
  hak_free(block);
}

TEST_F(ErrnoTest, Trim) {
  MakePurgeDue();
  const size_t calls = os_fake_calls(OS_FAKE_PURGE);
  hak_trim(0);
  EXPECT_GT(os_fake_calls(OS_FAKE_PURGE), calls);
  EXPECT_EQ(EDOM, errno);
}

// A realloc to a smaller size that would have to move, and cannot, leaves the block where it is: larger than it needs to be.
TEST_F(ErrnoTest, ReallocThatShrinksNeedsNoMemory) {
  for (size_t size : {20 * kKiB, 100 * kKiB, 3 * kMiB}) {
    void *const block = hak_malloc(size);
    ASSERT_NE(nullptr, block);
    FillPattern(block, 500, 3);
    std::vector<void *> rest;
    os_fake_fail(OS_FAKE_MAP | OS_FAKE_MAP_AT, 0, SIZE_MAX);
    // Nothing is left of the class that the smaller size needs.
    while (void *const other = hak_malloc(500)) rest.push_back(other);
    errno = EDOM;
    void *const smaller = hak_realloc(block, 500);
    EXPECT_EQ(block, smaller);
    EXPECT_EQ(EDOM, errno);
    EXPECT_EQ(kNone, FirstWrongByte(smaller, 500, 3));
    os_fake_fail(0, 0, 0);
    for (void *other : rest) hak_free(other);
    hak_free(smaller);
  }
}

}  // namespace
}  // namespace hak_test
