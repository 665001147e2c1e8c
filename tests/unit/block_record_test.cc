// SPDX-License-Identifier: Apache-2.0
//
// What a free block of the Box must look like, and what is said of one that does not: page_arena/block_record.

#include "allocator/page_arena/block_record.h"

#include <gtest/gtest.h>
#include <string.h>

#include <string>

#include "allocator/base/options.h"
#include "allocator/os/misuse.h"
#include "allocator/page_arena/block_memory.h"
#include "allocator/page_arena/stack_depot.h"
#include "tests/unit/fresh_process.h"

namespace {

uintptr_t current_frame;

}  // namespace

extern "C" int backtrace(void **frames, int most) {
  if (most < 1) return 0;
  frames[0] = reinterpret_cast<void *>(current_frame);
  return 1;
}

namespace {

constexpr bool kFills = HAK_BOX_FILLS;
constexpr unsigned kClass = 10;

// A free block, its record, and the header of the next one, somewhere.
class FreeBlock {
 public:
  FreeBlock(enum hak_block_state state, bool filled) {
    memset(memory_, filled ? static_cast<int>(HAK_FILL) : 0x11, sizeof memory_);
    record_.state = static_cast<uint8_t>(state);
    record_.filled = filled ? 1 : 0;
    record_.slack = 3;
    record_.allocated_by = 101;
    record_.freed_by = 102;
    record_.link = reinterpret_cast<struct block *>(&memory_);
    block_header_set(block(), block_header_free(kClass));
    if (state != HAK_BLOCK_QUARANTINED) block_link_set(block(), record_.link);
  }
  struct block *block() { return reinterpret_cast<struct block *>(memory_ + 16); }
  unsigned char *bytes() { return memory_ + 16; }
  struct block_record *record() { return &record_; }
  size_t usable() const { return size_class_usable(kClass); }

  bool IsWhole() {
    memset(&misuse_, 0x77, sizeof misuse_);
    return block_record_check_free(kClass, block(), &record_, "a function", &misuse_);
  }
  const struct hak_misuse &misuse() const { return misuse_; }

  void Expect(enum hak_misuse_kind kind, ptrdiff_t offset) {
    ASSERT_FALSE(IsWhole());
    EXPECT_EQ(kind, misuse_.kind);
    EXPECT_EQ(offset, misuse_.offset);
    EXPECT_EQ(bytes() + offset, misuse_.pointer);
    EXPECT_EQ(block(), misuse_.block);
    EXPECT_STREQ("a function", misuse_.function);
    EXPECT_EQ(record_.state, misuse_.state);
    EXPECT_EQ(kClass, misuse_.size_class);
    EXPECT_EQ(usable(), misuse_.usable_size);
    EXPECT_EQ(usable() - 3, misuse_.requested_size);
    EXPECT_EQ(101u, misuse_.allocating_thread);
    EXPECT_EQ(102u, misuse_.freeing_thread);
  }

 private:
  alignas(16) unsigned char memory_[4096];
  struct block_record record_ = {};
  struct hak_misuse misuse_;
};

constexpr enum hak_block_state kStates[] = {HAK_BLOCK_QUARANTINED, HAK_BLOCK_CACHED, HAK_BLOCK_FREE};

TEST(BlockRecordTest, EveryByteOfABlockCounts) {
  for (const enum hak_block_state state : kStates) {
    FreeBlock block(state, true);
    ASSERT_TRUE(block.IsWhole());
    const ptrdiff_t usable = static_cast<ptrdiff_t>(block.usable());
    for (ptrdiff_t offset = -1; offset < usable; ++offset) {
      SCOPED_TRACE("state " + std::to_string(state) + ", offset " + std::to_string(offset));
      // Of the link, its first byte is named.
      const bool link = state != HAK_BLOCK_QUARANTINED && offset >= 0 && offset < 8;
      block.bytes()[offset] ^= 0x40;
      if (offset < 0) {
        block.Expect(HAK_MISUSE_UNDERFLOW, -1);
      } else if (link || kFills) {
        block.Expect(HAK_MISUSE_WRITE_AFTER_FREE, link ? 0 : offset);
      } else {
        EXPECT_TRUE(block.IsWhole());
      }
      block.bytes()[offset] ^= 0x40;
    }
    // What is not the block's does not count.
    block.bytes()[usable] ^= 0x40;
    block.bytes()[-2] ^= 0x40;
    EXPECT_TRUE(block.IsWhole());
  }
}

// Carved, and never filled: its header and its link are all that is known.
TEST(BlockRecordTest, BlocksThatWereNotFilled) {
  FreeBlock block(HAK_BLOCK_CACHED, false);
  EXPECT_TRUE(block.IsWhole());
  block.bytes()[7] ^= 1;
  block.Expect(HAK_MISUSE_WRITE_AFTER_FREE, 0);
  block.bytes()[-1] ^= 1;
  block.Expect(HAK_MISUSE_UNDERFLOW, -1);
}

// Of several wrong bytes, the header comes first, then the link.
TEST(BlockRecordTest, TheFirstOfSeveral) {
  FreeBlock block(HAK_BLOCK_FREE, true);
  if (kFills) {
    block.bytes()[70] ^= 1;
    block.Expect(HAK_MISUSE_WRITE_AFTER_FREE, 70);
    block.bytes()[50] ^= 1;
    block.Expect(HAK_MISUSE_WRITE_AFTER_FREE, 50);
  }
  block.bytes()[3] ^= 1;
  block.Expect(HAK_MISUSE_WRITE_AFTER_FREE, 0);
  block.bytes()[-1] ^= 1;
  block.Expect(HAK_MISUSE_UNDERFLOW, -1);
}

FRESH_TEST(BlockRecordTest, Stacks) {
  FreeBlock block(HAK_BLOCK_CACHED, true);
  options.box_stacks = 1;
  current_frame = 0x111;
  block.record()->allocation_stack = stack_depot_record(nullptr);
  current_frame = 0x222;
  block.record()->free_stack = stack_depot_record(nullptr);
  block.bytes()[0] ^= 1;
  ASSERT_FALSE(block.IsWhole());
  ASSERT_EQ(1u, block.misuse().allocation_frames);
  EXPECT_EQ(reinterpret_cast<void *>(0x111), block.misuse().allocation_stack[0]);
  ASSERT_EQ(1u, block.misuse().free_frames);
  EXPECT_EQ(reinterpret_cast<void *>(0x222), block.misuse().free_stack[0]);
  block.record()->allocation_stack = block.record()->free_stack = 0;
  ASSERT_FALSE(block.IsWhole());
  EXPECT_EQ(0u, block.misuse().allocation_frames + block.misuse().free_frames);
  EXPECT_EQ(nullptr, block.misuse().allocation_stack);
  EXPECT_EQ(nullptr, block.misuse().free_stack);
}

// Carved, but nobody has allocated it yet.
TEST(BlockRecordTest, BlocksThatWereNeverAllocated) {
  for (const enum hak_block_state state : {HAK_BLOCK_CACHED, HAK_BLOCK_FREE}) {
    FreeBlock block(state, false);
    block.record()->slack = block.record()->allocated_by = block.record()->freed_by = 0;
    EXPECT_FALSE(block_record_was_allocated(block.record()));
    EXPECT_TRUE(block.IsWhole());
    block.bytes()[1] ^= 1;
    ASSERT_FALSE(block.IsWhole());
    EXPECT_EQ(HAK_MISUSE_WRITE_AFTER_FREE, block.misuse().kind);
    EXPECT_EQ(HAK_BLOCK_UNUSED, block.misuse().state);
    EXPECT_EQ(0u, block.misuse().requested_size);
    EXPECT_EQ(0u, block.misuse().allocating_thread + block.misuse().freeing_thread);
    block.record()->allocated_by = 5;
    EXPECT_TRUE(block_record_was_allocated(block.record()));
    ASSERT_FALSE(block.IsWhole());
    EXPECT_EQ(state, block.misuse().state);
  }
}

// The handler finds the block as it was written to, but for its header, and nothing reports it again.
TEST(BlockRecordTest, ABlockIsReportedOnce) {
  static FreeBlock *reported;
  static int reports;
  misuse_set_handler([](const struct hak_misuse *) {
    ++reports;
    EXPECT_TRUE(reported->IsWhole());
    EXPECT_EQ('x', reported->bytes()[20]);
  });
  for (const enum hak_block_state state : {HAK_BLOCK_QUARANTINED, HAK_BLOCK_CACHED, HAK_BLOCK_FREE}) {
    for (const ptrdiff_t offset : {-1, 0, 20}) {
      FreeBlock block(state, kFills);
      reported = &block;
      reports = 0;
      block_record_report_free(kClass, block.block(), block.record(), "a function");
      EXPECT_EQ(0, reports);
      block.bytes()[20] = 'x';
      block.bytes()[offset] = 'x';
      const bool seen = kFills || offset < 0 || (offset == 0 && state != HAK_BLOCK_QUARANTINED);
      block_record_report_free(kClass, block.block(), block.record(), "a function");
      EXPECT_EQ(seen ? 1 : 0, reports);
      block_record_report_free(kClass, block.block(), block.record(), "a function");
      EXPECT_EQ(seen ? 1 : 0, reports);
      EXPECT_EQ(state, block.record()->state);
    }
  }
  misuse_set_handler(nullptr);
}

// Who freed a block the time before says nothing of one that is live.
TEST(BlockRecordTest, LiveBlocksWereNotFreed) {
  FreeBlock block(HAK_BLOCK_LIVE, true);
  struct hak_misuse misuse = {};
  misuse.pointer = block.bytes() + 5;
  misuse.block = block.block();
  misuse.usable_size = block.usable();
  block_record_describe(block.record(), &misuse);
  EXPECT_EQ(5, misuse.offset);
  EXPECT_EQ(HAK_BLOCK_LIVE, misuse.state);
  EXPECT_EQ(block.usable() - 3, misuse.requested_size);
  EXPECT_EQ(101u, misuse.allocating_thread);
  EXPECT_EQ(0u, misuse.freeing_thread);
}

}  // namespace
