// SPDX-License-Identifier: Apache-2.0
//
// Filling free memory, and finding the first byte that was written to: page_arena/free_memory, page_arena/block_memory.
// Without the Box nothing is filled and nothing is found.

#include "allocator/page_arena/free_memory.h"

#include <gtest/gtest.h>
#include <string.h>
#include <sys/mman.h>

#include <string>
#include <thread>
#include <vector>

#include "allocator/os/misuse.h"
#include "allocator/os/os.h"
#include "allocator/page_arena/block_memory.h"
#include "tests/unit/test_support.h"

namespace {

constexpr bool kFills = HAK_BOX_FILLS;
constexpr size_t kPages = 150;  // more than are looked at together

class FreeMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    bytes_ = kPages * os_page_size();
    void *const mapped = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(MAP_FAILED, mapped);
    memory_ = static_cast<unsigned char *>(mapped);
    address_ = reinterpret_cast<uintptr_t>(mapped);
  }
  void TearDown() override { munmap(memory_, bytes_); }

  uintptr_t At(size_t offset) const { return address_ + offset; }

  size_t bytes_ = 0;
  unsigned char *memory_ = nullptr;
  uintptr_t address_ = 0;
};

TEST_F(FreeMemoryTest, FillsWhatWasTouchedAndTouchesNothingElse) {
  const size_t page = os_page_size();
  for (size_t i = 0; i < kPages; i += 3) memory_[i * page + i] = 1;
  free_memory_fill(address_, bytes_);
  std::vector<unsigned char> resident(kPages);
  ASSERT_EQ(0, mincore(memory_, bytes_, resident.data()));
  for (size_t i = 0; i < kPages; ++i) {
    SCOPED_TRACE("page " + std::to_string(i));
    ASSERT_EQ(i % 3 == 0, (resident[i] & 1) != 0);
    if (i % 3 != 0) continue;
    for (size_t offset = 0; kFills && offset < page; ++offset) ASSERT_EQ(HAK_FILL, memory_[i * page + offset]);
  }
  EXPECT_EQ(0u, free_memory_check(address_, bytes_));
}

// What is taken for use is mended and noted, and reported when that is asked for: the first of it, once, by the thread that
// took it.
TEST_F(FreeMemoryTest, WhatWasWrittenToIsReportedLater) {
  static std::vector<const void *> reported;
  misuse_set_handler([](const struct hak_misuse *misuse) { reported.push_back(misuse->pointer); });
  EXPECT_TRUE(free_memory_take(address_, bytes_));
  free_memory_report_written();
  EXPECT_TRUE(reported.empty());
  for (const size_t offset : {100 * os_page_size() + 5, size_t{7}}) {
    memory_[offset] = 1;
    EXPECT_EQ(!kFills, free_memory_take(address_, bytes_));
    EXPECT_TRUE(free_memory_take(address_, bytes_)) << "it is still wrong";
  }
  EXPECT_TRUE(reported.empty());
  std::thread([] { free_memory_report_written(); }).join();
  EXPECT_TRUE(reported.empty());
  for (int i = 0; i < 2; ++i) free_memory_report_written();
  const std::vector<const void *> expected = {&memory_[100 * os_page_size() + 5]};
  EXPECT_EQ(kFills ? expected : std::vector<const void *>(), reported);
  misuse_set_handler(nullptr);
}

// In pages that are filled, and in pages that are zero.
TEST_F(FreeMemoryTest, FindsTheFirstWrongByte) {
  const size_t page = os_page_size();
  for (const bool zero : {false, true}) {
    memset(memory_, zero ? 0 : static_cast<int>(HAK_FILL), bytes_);
    for (const size_t offset : {size_t{0}, size_t{1}, page - 1, page, 70 * page + 123, bytes_ - 1}) {
      SCOPED_TRACE("offset " + std::to_string(offset));
      const unsigned char before = memory_[offset];
      memory_[offset] ^= 0x40;
      EXPECT_EQ(kFills ? At(offset) : 0, free_memory_check(address_, bytes_));
      memory_[offset] = before;
      EXPECT_EQ(0u, free_memory_check(address_, bytes_));
    }
  }
  // A page is one or the other.
  memset(memory_, static_cast<int>(HAK_FILL), bytes_);
  memset(memory_ + page, 0, page / 4);
  EXPECT_EQ(kFills ? At(page + page / 4) : 0, free_memory_check(address_, bytes_));
}

// Any length at any place, and any byte of it; both ways to look agree.
TEST_F(FreeMemoryTest, BlocksOfEveryLength) {
  for (size_t bytes = 0; bytes < 600; bytes += bytes < 40 ? 1 : 37) {
    for (const size_t begin : {16, 17, 21, 31}) {
      SCOPED_TRACE(std::to_string(bytes) + " bytes at offset " + std::to_string(begin));
      memset(memory_, 0x11, 1024);
      block_memory_fill(memory_ + begin, bytes);
      for (size_t i = 0; kFills && i < 1024; ++i) {
        const bool inside = i >= begin && i < begin + bytes;
        ASSERT_EQ(inside ? HAK_FILL : 0x11u, memory_[i]) << "byte " << i;
      }
      ASSERT_TRUE(block_memory_is_filled(memory_ + begin, bytes));
      ASSERT_EQ(0u, free_memory_check_fill(At(begin), bytes));
      for (size_t wrong = begin; kFills && wrong < begin + bytes; ++wrong) {
        memory_[wrong] ^= 1;
        ASSERT_FALSE(block_memory_is_filled(memory_ + begin, bytes));
        ASSERT_EQ(At(wrong), free_memory_check_fill(At(begin), bytes));
        memory_[wrong] ^= 1;
      }
    }
  }
}

TEST_F(FreeMemoryTest, SlackOfEveryLength) {
  if (!kFills) return;
  for (size_t slack = 0; slack < 300; slack += slack < 40 ? 1 : 41) {
    SCOPED_TRACE("slack " + std::to_string(slack));
    char *const end = reinterpret_cast<char *>(memory_) + 512;
    memset(memory_, 0x11, 1024);
    memset(end - slack, static_cast<int>(HAK_FILL), slack);
    ASSERT_TRUE(block_memory_slack_is_filled(end, slack));
    for (size_t i = 1; i <= slack; ++i) {
      end[-static_cast<ptrdiff_t>(i)] ^= 0x20;
      ASSERT_FALSE(block_memory_slack_is_filled(end, slack)) << i << " bytes before the end";
      end[-static_cast<ptrdiff_t>(i)] ^= 0x20;
    }
  }
}

}  // namespace
