// SPDX-License-Identifier: Apache-2.0
//
// Headers that were overwritten, and pointers into small blocks, which the checked level finds by the header that is not
// there: thread_cache/box, api/malloc_api, api/box_api.

#include "tests/unit/misuse_support.h"

namespace hak_test {
namespace {

#if HAK_TEST_EXPECTED_CHECKS > 0

// ---- The header -----------------------------------------------------------------------------------------------------

// Every value but the right one is found. One of them says that the block is free: the Box knows that it is not.
TEST(BoxHeaderTest, EveryWrongHeader) {
  for (const size_t size : kSizes) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size), *const other = Allocate(size);
    const unsigned live = block[-1];
    ASSERT_EQ(live, other[-1]);
    hak_free(other);
    const unsigned freed = *(static_cast<unsigned char *>(Opaque(other)) - 1);
    ASSERT_NE(live, freed);
    const auto kind = [freed](unsigned value) { return value == freed && !kIsBox ? kDoubleFree : kOverwritten; };
    std::vector<Misuse> all;
    for (unsigned value = 0; value < 256; ++value) {
      if (value == live) continue;
      const std::string line = Line("free", block, kind(value));
      all.push_back({line, block - 1, static_cast<unsigned char>(value), block});
    }
    ASSERT_EQ(255u, all.size());
    ExpectReports(all);
    // And the process does end.
    for (const unsigned value : {0u, live ^ 1, live | 0x40}) {
      ExpectReport(Line("free", block, kind(value)), [block, value] {
        block[-1] = static_cast<unsigned char>(value);
        hak_free(block);
      });
    }
    ExpectQuiet([block] { hak_free(block); });
    hak_free(block);
  }
}

TEST(BoxHeaderTest, AByteTooMany) {
  for (const size_t size : kSizes) {
    SCOPED_TRACE(OfSize(size));
    const auto blocks = Neighbours(size);
    ASSERT_NE(nullptr, blocks.first);
    const size_t capacity = Capacity(size);
    for (const bool first_first : {false, true}) {
      // The Box also looks at the header behind a block.
      const std::string line = kIsBox && first_first ? Line("free", blocks.first, kNextOverwritten)
                                                     : Line("free", blocks.second, kOverwritten);
      ExpectReport(line, [&] {
        static_cast<unsigned char *>(Opaque(blocks.first))[capacity] = 'x';
        if (first_first) hak_free(blocks.first);
        hak_free(blocks.second);
      });
    }
    // And not one too few.
    ExpectQuiet([&] {
      memset(blocks.first, 'x', hak_usable_size(blocks.first));
      hak_free(blocks.second);
      hak_free(blocks.first);
    });
    hak_free(blocks.first);
    hak_free(blocks.second);
  }
}

// ---- Pointers into small blocks -------------------------------------------------------------------------------------

// The Box knows where blocks begin. The checked level takes the byte before the pointer for a header, here a zero.
TEST(BoxHeaderTest, PointersIntoBlocks) {
  for (const size_t size : kSizes) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    const size_t usable = Capacity(size);
    std::vector<size_t> offsets;
    for (size_t offset = 2; offset < 16; ++offset) offsets.push_back(offset);
    for (size_t offset = 16; offset < usable; offset = offset * 5 / 4 / 16 * 16 + 16) offsets.push_back(offset);
    std::vector<Misuse> all;
    for (const size_t offset : offsets) {
      all.push_back({Line("free", block + offset, kIsBox ? kInterior : kOverwritten), nullptr, 0, block + offset});
    }
    ExpectReports(all);
    ExpectFreeReports(kIsBox ? kInterior : kOverwritten, Opaque(block + offsets.back()));
    // The byte before the pointer looks like the header of a live block, or of a free one.
    if (kIsBox) {
      for (const size_t offset : {size_t{2}, usable / 32 * 16, usable - 1}) {
        if (offset == 0) continue;
        const unsigned char before = block[offset - 1];
        for (const unsigned char bits : {0, 0x40}) {
          block[offset - 1] = block[-1] | bits;
          ExpectFreeReports(kInterior, Opaque(block + offset));
        }
        block[offset - 1] = before;
      }
    }
    hak_free(block);
  }
}

// One byte off: the byte before the pointer is the block's first. It is a zero, or a header.
TEST(BoxHeaderTest, PointersOneOff) {
  for (const size_t size : kSizes) {
    SCOPED_TRACE(OfSize(size));
    unsigned char *const block = Allocate(size);
    ExpectFreeReports(kIsBox ? kInterior : kOverwritten, Opaque(block + 1));
    block[0] = block[-1] | 0x40;
    ExpectFreeReports(kIsBox ? kInterior : kDoubleFree, Opaque(block + 1));
    hak_free(block);
  }
}

#endif  // HAK_TEST_EXPECTED_CHECKS > 0

#if HAK_TEST_EXPECTED_CHECKS == 0

// The direct level does not read headers: a free makes a wrong one right.
TEST(BoxHeaderTest, DirectDoesNotReadHeaders) {
  unsigned char *const block = Allocate(200);
  const unsigned char right = block[-1];
  for (unsigned value = 0; value < 256; ++value) {
    block[-1] = static_cast<unsigned char>(value);
    hak_free(block);
    ASSERT_EQ(block, hak_malloc(200));
    ASSERT_EQ(right, block[-1]);
  }
  hak_free(block);
}

#endif

}  // namespace
}  // namespace hak_test
