// SPDX-License-Identifier: Apache-2.0
//
// Checks of the Box that no call of the public interface reaches, as others are made before: what comes twice to a list, and a
// second look that finds a block whole: thread_cache/box, thread_cache/thread_cache.

#include "allocator/thread_cache/box.h"

#include "allocator/os/misuse.h"
#include "tests/unit/thread_cache_support.h"

namespace hak_test {
namespace {

#if HAK_CHECKS_LEVEL == HAK_CHECKS_BOX

int reports;
enum hak_misuse_kind reported_kind;
const void *reported_pointer;

void Note(const struct hak_misuse *misuse) {
  ++reports;
  reported_kind = misuse->kind;
  reported_pointer = misuse->pointer;
}

FRESH_TEST(BoxInternalsTest, AScanFindsABlockThatIsListedAlready) {
  ASSERT_TRUE(Start());
  misuse_set_handler(Note);
  const Blocks blocks = AllocateUntilEmpty(kClass, 3);
  for (struct block *block : blocks) ASSERT_TRUE(Push(kClass, block));
  struct block *const other = Allocate(kOtherClass);
  const struct block *const list = thread_cache.heads[kClass];
  EXPECT_TRUE(box_scan_list(kClass, other, list));
  EXPECT_TRUE(box_scan_list(kClass, other, nullptr));
  EXPECT_EQ(0, reports);
  // The first of the list, one within, and the last.
  int expected = 0;
  for (struct block *block : blocks) {
    EXPECT_FALSE(box_scan_list(kClass, block, list));
    EXPECT_EQ(++expected, reports);
    EXPECT_EQ(HAK_MISUSE_DOUBLE_FREE, reported_kind);
    EXPECT_EQ(block, reported_pointer);
  }
}

// As if its record had been overwritten: the block is claimed a second time.
FRESH_TEST(BoxInternalsTest, WithAScanABlockIsNotListedTwice) {
  ASSERT_TRUE(Start());
  misuse_set_handler(Note);
  options.box_scan = 1;
  const Blocks blocks = AllocateUntilEmpty(kClass, 3);
  for (struct block *block : blocks) ASSERT_TRUE(Push(kClass, block));
  EXPECT_EQ(0, reports);
  const uint32_t listed = static_cast<uint32_t>(blocks.size());
  ASSERT_EQ(listed, Length(thread_cache.heads[kClass]));
  EXPECT_TRUE(thread_cache_push(kClass, blocks[1])) << "there is nothing left to do with it";
  EXPECT_EQ(1, reports);
  EXPECT_EQ(HAK_MISUSE_DOUBLE_FREE, reported_kind);
  EXPECT_EQ(listed, Length(thread_cache.heads[kClass]));
}

// Where another thread wrote to free memory, and the second look comes after it put back what was there.
FRESH_TEST(BoxInternalsTest, ASecondLookThatFindsNothingReportsNothing) {
  ASSERT_TRUE(Start());
  misuse_set_handler(Note);
  struct block *const block = AllocateUntilEmpty(kClass, 1)[0];
  ASSERT_TRUE(Push(kClass, block));
  box_report_free_block(kClass, block);
  EXPECT_EQ(0, reports);
  *block_header(block) ^= 1;
  box_report_free_block(kClass, block);
  EXPECT_EQ(1, reports);
  EXPECT_EQ(HAK_MISUSE_UNDERFLOW, reported_kind);
}

#else

TEST(BoxInternalsTest, ThereIsNoBoxAtThisLevel) { EXPECT_NE(HAK_CHECKS_BOX, HAK_CHECKS_LEVEL); }

#endif

}  // namespace
}  // namespace hak_test
