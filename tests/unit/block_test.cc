// SPDX-License-Identifier: Apache-2.0
//
// The header byte, the user pointer and the link of a block: base/block.h. Compiled once for each checks level.

#include "allocator/base/block.h"

#include <gtest/gtest.h>

#include <set>

#include "allocator/base/size_class.h"

namespace {

TEST(BlockTest, UserPointerAndBlockAreOnePlace) {
  alignas(16) char memory[64];
  struct block *const block = block_of_user(memory + 16);
  EXPECT_EQ(memory + 16, user_of_block(block));
  EXPECT_EQ(memory + 15, reinterpret_cast<char *>(block_header(block))) << "the header is the byte before";
}

TEST(BlockTest, HeaderAndLinkDoNotOverlap) {
  alignas(16) unsigned char memory[64] = {};
  struct block *const block = block_of_user(memory + 16);
  *block_header(block) = 0xA5;
  block->next = reinterpret_cast<struct block *>(~uintptr_t{0});
  EXPECT_EQ(0xA5, *block_header(block));
  EXPECT_EQ(0, memory[14]);
  EXPECT_EQ(0, memory[16 + sizeof(struct block)]);
  EXPECT_LE(sizeof(struct block), size_classes[1].stride - HAK_HEADER_BYTES) << "the smallest block has no room for it";
}

TEST(BlockTest, HeadersTellStatesAndClassesApart) {
  std::set<unsigned> seen;
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
    for (const uint8_t header : {block_header_live(size_class), block_header_free(size_class)}) {
      EXPECT_TRUE(seen.insert(header).second) << "header " << unsigned{header} << " has two meanings";
      EXPECT_EQ(size_class, header & HAK_HEADER_CLASS);
      EXPECT_GE(header, 0x80) << "text looks like a header of class " << size_class;
      EXPECT_NE(0xFF, header);
    }
  }
}

TEST(BlockTest, HeaderOfListedBlocks) {
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
#if HAK_CHECKS_LEVEL == 0
    EXPECT_EQ(block_header_live(size_class), block_header_listed(size_class)) << "the direct variant never rewrites it";
#else
    EXPECT_EQ(block_header_free(size_class), block_header_listed(size_class)) << "a double free would not be found";
#endif
  }
}

TEST(BlockTest, ChecksLevelIsTheOneAskedFor) { EXPECT_EQ(HAK_TEST_CHECKS_LEVEL, HAK_CHECKS_LEVEL); }

}  // namespace
