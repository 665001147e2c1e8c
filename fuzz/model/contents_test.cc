// SPDX-License-Identifier: Apache-2.0
//
// What blocks are filled with, and what is noticed of changes: contents.

#include "fuzz/model/contents.h"

#include <gtest/gtest.h>
#include <string.h>

#include <vector>

namespace {

constexpr uint64_t kKey = 0xD1342543DE82EF95u, kOtherKey = 2 * kKey;

std::vector<char> Filled(size_t bytes, uint64_t key = kKey) {
  std::vector<char> block(bytes + 1);
  contents_fill(block.data(), bytes, key);
  return block;
}

TEST(ContentsTest, EveryByteOfAShortBlock) {
  for (const size_t bytes : {0, 1, 7, 8, 9, 15, 16, 100, 1023, 1024}) {
    SCOPED_TRACE(bytes);
    std::vector<char> block = Filled(bytes);
    EXPECT_EQ(0, block[bytes]) << "a byte behind the block was written to";
    EXPECT_EQ(CONTENTS_RIGHT, contents_first_wrong(block.data(), bytes, bytes, kKey));
    for (size_t i = 0; i < bytes; ++i) {
      block[i] ^= 1;
      EXPECT_EQ(i, contents_first_wrong(block.data(), bytes, bytes, kKey));
      EXPECT_EQ(i, contents_first_wrong(block.data(), bytes, i + 1, kKey));
      EXPECT_EQ(CONTENTS_RIGHT, contents_first_wrong(block.data(), bytes, i, kKey)) << "it was not kept";
      block[i] ^= 1;
    }
  }
}

// Both ends of longer ones, and words between.
TEST(ContentsTest, LongBlocks) {
  for (const size_t bytes :
       {1025, 1029, 1500, 4097, 8191, 8192, 8193, 8700, 32768, 32769, 100000, 1 << 20, (1 << 20) + 5}) {
    SCOPED_TRACE(bytes);
    std::vector<char> block = Filled(bytes);
    EXPECT_EQ(0, block[bytes]);
    EXPECT_EQ(CONTENTS_RIGHT, contents_first_wrong(block.data(), bytes, bytes, kKey));
    for (size_t i = 0; i < 256; ++i) {
      for (const size_t place : {i, bytes - 1 - i}) {
        block[place] ^= 1;
        EXPECT_EQ(place, contents_first_wrong(block.data(), bytes, bytes, kKey));
        block[place] ^= 1;
      }
    }
    // A lost piece of two steps is noticed, wherever it is.
    const size_t lost = bytes <= 32768 ? 1024 : bytes / 64 > 8192 ? bytes / 32 : 16384;
    for (size_t begin = 0; begin + lost < bytes; begin += lost / 3) {
      const std::vector<char> kept(block.begin() + static_cast<ptrdiff_t>(begin),
                                   block.begin() + static_cast<ptrdiff_t>(begin + lost));
      memset(block.data() + begin, 0, lost);
      const size_t wrong = contents_first_wrong(block.data(), bytes, bytes, kKey);
      EXPECT_GE(wrong, begin);
      EXPECT_LT(wrong, begin + lost);
      memcpy(block.data() + begin, kept.data(), lost);
    }
    EXPECT_EQ(CONTENTS_RIGHT, contents_first_wrong(block.data(), bytes, bytes / 2, kKey));
  }
}

// Whatever a small block loses is noticed where its words happen to lie there.
TEST(ContentsTest, EveryPlaceOfASmallBlock) {
  constexpr size_t kBytes = 3000, kLost = 8;
  std::vector<bool> noticed(kBytes);
  for (uint64_t number = 1; number <= 2000; ++number) {
    const uint64_t key = number * kKey;
    std::vector<char> block(kBytes);
    contents_fill(block.data(), kBytes, key);
    for (size_t i = 0; i < kBytes; i += kLost) noticed[i] = noticed[i] || block[i] != 0;
  }
  for (size_t i = 0; i < kBytes; i += kLost) EXPECT_TRUE(noticed[i]) << i;
}

// Bytes of another block, or of another place in this one.
TEST(ContentsTest, OtherContents) {
  for (const size_t bytes : {8, 100, 5000}) {
    std::vector<char> block = Filled(bytes, kOtherKey);
    EXPECT_EQ(0u, contents_first_wrong(block.data(), bytes, bytes, kKey) / 8);
    block = Filled(bytes + 16);
    EXPECT_EQ(0u, contents_first_wrong(block.data() + 8, bytes, bytes, kKey) / 8);
  }
}

TEST(ContentsTest, ZeroesOfAShortBlock) {
  for (const size_t bytes : {0, 1, 9, 4095, 4096, 4097, 65536, 262144}) {
    SCOPED_TRACE(bytes);
    std::vector<char> block(bytes + 1);
    block[bytes] = 1;  // is no byte of the block
    EXPECT_EQ(CONTENTS_RIGHT, contents_first_not_zero(block.data(), bytes));
    for (size_t i = 0; i < bytes; i += 1 + bytes / 300) {
      block[i] = 1;
      EXPECT_EQ(i, contents_first_not_zero(block.data(), bytes));
      block[i] = 0;
    }
    if (bytes == 0) continue;
    block[bytes - 1] = 1;
    EXPECT_EQ(bytes - 1, contents_first_not_zero(block.data(), bytes));
  }
}

TEST(ContentsTest, ZeroesOfALongBlock) {
  for (const size_t bytes : {262145, 300000, 1 << 20}) {
    SCOPED_TRACE(bytes);
    std::vector<char> block(bytes);
    EXPECT_EQ(CONTENTS_RIGHT, contents_first_not_zero(block.data(), bytes));
    for (const size_t place : {size_t{0}, size_t{4095}, bytes - 4096, bytes - 1}) {
      block[place] = 1;
      EXPECT_EQ(place, contents_first_not_zero(block.data(), bytes));
      block[place] = 0;
    }
    // A dirty stretch of two steps.
    const size_t dirty = bytes / 64 > 4096 ? bytes / 32 : 8192;
    for (size_t begin = 0; begin + dirty < bytes; begin += dirty / 3) {
      memset(block.data() + begin, 1, dirty);
      const size_t wrong = contents_first_not_zero(block.data(), bytes);
      EXPECT_GE(wrong, begin);
      EXPECT_LT(wrong, begin + dirty);
      memset(block.data() + begin, 0, dirty);
    }
  }
}

}  // namespace
