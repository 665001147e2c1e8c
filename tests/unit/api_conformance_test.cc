// SPDX-License-Identifier: Apache-2.0
//
// What the C standard, POSIX and hakmem.h promise of malloc, calloc and free: results, errno, alignment, usable sizes,
// zeroes. realloc and the aligned functions have files of their own; so have the statistics.

#include <unistd.h>

#include <functional>
#include <set>

#include "tests/unit/test_support.h"

namespace hak_test {
namespace {

using ApiConformance = AllocatorTest;

// ---- Calls that must fail, and how ----

struct FailingCall {
  const char *call;
  std::function<void *()> run;
  int expected_errno;
};

constexpr size_t kHalf = SIZE_MAX / 2;
constexpr size_t kTopBit = kHalf + 1;  // the largest power of two

const FailingCall kFailingCalls[] = {
    {"malloc(SIZE_MAX)", [] { return hak_malloc(SIZE_MAX); }, ENOMEM},
    {"malloc(SIZE_MAX - 15)", [] { return hak_malloc(SIZE_MAX - 15); }, ENOMEM},
    {"malloc(SIZE_MAX - 65535)", [] { return hak_malloc(SIZE_MAX - 65535); }, ENOMEM},
    {"malloc(PTRDIFF_MAX + 1)", [] { return hak_malloc(kPtrdiffMax + 1); }, ENOMEM},
    {"malloc(PTRDIFF_MAX)", [] { return hak_malloc(kPtrdiffMax); }, ENOMEM},
    {"malloc(PTRDIFF_MAX - 2 MiB)", [] { return hak_malloc(kPtrdiffMax - 2 * kMiB); }, ENOMEM},
    {"malloc(1 << 48)", [] { return hak_malloc(size_t{1} << 48); }, ENOMEM},
    {"calloc(SIZE_MAX / 2, 3)", [] { return hak_calloc(kHalf, 3); }, ENOMEM},
    {"calloc(3, SIZE_MAX / 2)", [] { return hak_calloc(3, kHalf); }, ENOMEM},
    {"calloc(SIZE_MAX, SIZE_MAX)", [] { return hak_calloc(SIZE_MAX, SIZE_MAX); }, ENOMEM},
    {"calloc(1 << 32, 1 << 32)", [] { return hak_calloc(size_t{1} << 32, size_t{1} << 32); }, ENOMEM},
    {"calloc((1 << 32) + 1, 1 << 32)", [] { return hak_calloc((size_t{1} << 32) + 1, size_t{1} << 32); }, ENOMEM},
    {"calloc(1, SIZE_MAX)", [] { return hak_calloc(1, SIZE_MAX); }, ENOMEM},
    {"calloc(1, PTRDIFF_MAX + 1)", [] { return hak_calloc(1, kPtrdiffMax + 1); }, ENOMEM},
    {"calloc(PTRDIFF_MAX, 1)", [] { return hak_calloc(kPtrdiffMax, 1); }, ENOMEM},
    {"realloc(NULL, SIZE_MAX)", [] { return hak_realloc(nullptr, SIZE_MAX); }, ENOMEM},
    {"realloc(NULL, PTRDIFF_MAX + 1)", [] { return hak_realloc(nullptr, kPtrdiffMax + 1); }, ENOMEM},
    {"reallocarray(NULL, SIZE_MAX / 2, 3)", [] { return hak_reallocarray(nullptr, kHalf, 3); }, ENOMEM},
    {"reallocarray(NULL, 3, SIZE_MAX / 2)", [] { return hak_reallocarray(nullptr, 3, kHalf); }, ENOMEM},
    {"reallocarray(NULL, 2, PTRDIFF_MAX)", [] { return hak_reallocarray(nullptr, 2, kPtrdiffMax); }, ENOMEM},
    {"aligned_alloc(0, 16)", [] { return hak_aligned_alloc(0, 16); }, EINVAL},
    {"aligned_alloc(3, 3)", [] { return hak_aligned_alloc(3, 3); }, EINVAL},
    {"aligned_alloc(24, 48)", [] { return hak_aligned_alloc(24, 48); }, EINVAL},
    {"aligned_alloc(4097, 16)", [] { return hak_aligned_alloc(4097, 16); }, EINVAL},
    {"aligned_alloc(SIZE_MAX, 16)", [] { return hak_aligned_alloc(SIZE_MAX, 16); }, EINVAL},
    {"aligned_alloc(16, SIZE_MAX)", [] { return hak_aligned_alloc(16, SIZE_MAX); }, ENOMEM},
    {"aligned_alloc(64, PTRDIFF_MAX + 1)", [] { return hak_aligned_alloc(64, kPtrdiffMax + 1); }, ENOMEM},
    {"aligned_alloc(64, PTRDIFF_MAX)", [] { return hak_aligned_alloc(64, kPtrdiffMax); }, ENOMEM},
    {"aligned_alloc(1 MiB, PTRDIFF_MAX - 1)", [] { return hak_aligned_alloc(kMiB, kPtrdiffMax - 1); }, ENOMEM},
    {"aligned_alloc(1 << 63, 16)", [] { return hak_aligned_alloc(kTopBit, 16); }, ENOMEM},
    {"aligned_alloc(1 << 63, 0)", [] { return hak_aligned_alloc(kTopBit, 0); }, ENOMEM},
    {"aligned_alloc(1 << 62, 16)", [] { return hak_aligned_alloc(kTopBit / 2, 16); }, ENOMEM},
    {"aligned_alloc(1 << 62, 1 << 62)", [] { return hak_aligned_alloc(kTopBit / 2, kTopBit / 2); }, ENOMEM},
    {"memalign(16, SIZE_MAX)", [] { return hak_memalign(16, SIZE_MAX); }, ENOMEM},
    {"memalign(4096, PTRDIFF_MAX + 1)", [] { return hak_memalign(4096, kPtrdiffMax + 1); }, ENOMEM},
    {"memalign(1 << 63, 1)", [] { return hak_memalign(kTopBit, 1); }, ENOMEM},
    {"valloc(SIZE_MAX)", [] { return hak_valloc(SIZE_MAX); }, ENOMEM},
    {"valloc(PTRDIFF_MAX + 1)", [] { return hak_valloc(kPtrdiffMax + 1); }, ENOMEM},
    {"pvalloc(SIZE_MAX)", [] { return hak_pvalloc(SIZE_MAX); }, ENOMEM},
    {"pvalloc(SIZE_MAX - 4094)", [] { return hak_pvalloc(SIZE_MAX - 4094); }, ENOMEM},
    {"pvalloc(PTRDIFF_MAX + 1)", [] { return hak_pvalloc(kPtrdiffMax + 1); }, ENOMEM},
    {"pvalloc(PTRDIFF_MAX)", [] { return hak_pvalloc(kPtrdiffMax); }, ENOMEM},
};

TEST_F(ApiConformance, ImpossibleRequestsGiveNullAndErrnoAndChangeNothing) {
  // Twice: on a fresh heap, and on one that has been in use.
  for (const char *heap : {"fresh heap", "used heap"}) {
    for (const FailingCall &failing : kFailingCalls) {
      SCOPED_TRACE(std::string(failing.call) + " on a " + heap);
      const hak_statistics before = Statistics();
      errno = 0;
      void *const result = failing.run();
      const int seen = errno;
      EXPECT_EQ(nullptr, result);
      EXPECT_EQ(failing.expected_errno, seen);
      const hak_statistics after = Statistics();
      EXPECT_EQ(before.live_bytes, after.live_bytes);
      EXPECT_EQ(before.committed_bytes, after.committed_bytes);
      EXPECT_EQ(before.large_bytes, after.large_bytes);
    }
    for (size_t size : {1, 100, 5000, 100000, 3000000}) hak_free(hak_malloc(size));
  }
}

// ---- malloc ----

TEST_F(ApiConformance, MallocOfZeroGivesBlocksOfTheirOwn) {
  std::set<void *> seen;
  for (int i = 0; i < 10000; ++i) {
    void *const block = hak_malloc(0);
    ASSERT_NE(nullptr, block);
    ASSERT_TRUE(IsAligned(block, 16)) << block;
    ASSERT_TRUE(seen.insert(block).second) << block << " was given out twice";
  }
  for (void *block : seen) hak_free(block);
}

// All sizes to 70,000, and those around every power of two to 64 MiB.
std::vector<size_t> InterestingSizes() {
  std::vector<size_t> sizes;
  for (size_t size = 0; size <= 70000; ++size) sizes.push_back(size);
  for (size_t power = 128 * kKiB; power <= 64 * kMiB; power *= 2) {
    for (size_t size = power - 18; size <= power + 18; ++size) sizes.push_back(size);
    for (size_t distance : {4096, 65536}) {
      for (size_t i = 0; i < 3; ++i) {
        sizes.push_back(power - distance + i - 1);
        sizes.push_back(power + distance + i - 1);
      }
    }
  }
  return sizes;
}

TEST_F(ApiConformance, EverySizeIsAlignedAndUsable) {
  for (size_t size : InterestingSizes()) {
    unsigned char *const block = static_cast<unsigned char *>(hak_malloc(size));
    ASSERT_NE(nullptr, block) << "malloc(" << size << ")";
    ASSERT_TRUE(IsAligned(block, 16)) << "malloc(" << size << ") = " << static_cast<void *>(block);
    const size_t usable = hak_usable_size(block);
    ASSERT_GE(usable, size);
    if (usable != 0) {
      block[0] = 1;
      block[usable / 2] = 2;
      block[usable - 1] = 3;
    }
    hak_free(block);
  }
}

// Neighbours of every class, and large ones, filled to the last usable byte: nobody's bytes are another's.
TEST_F(ApiConformance, UsableBytesAreOnesOwn) {
  std::vector<size_t> sizes = ClassBoundaries();
  ASSERT_GT(sizes.size(), 8u);
  for (size_t size : {65535, 65536, 100000, 131072, 300000, 1048560, 1048576, 1100000, 2097152, 5000000}) {
    sizes.push_back(size);
  }
  for (size_t size : sizes) {
    SCOPED_TRACE("malloc(" + std::to_string(size) + ")");
    constexpr int kNeighbours = 7;
    void *blocks[kNeighbours];
    for (int i = 0; i < kNeighbours; ++i) {
      blocks[i] = hak_malloc(size);
      ASSERT_NE(nullptr, blocks[i]);
      ASSERT_GE(hak_usable_size(blocks[i]), size);
      FillPattern(blocks[i], hak_usable_size(blocks[i]), size * 10 + i);
    }
    for (int i = 0; i < kNeighbours; ++i) {
      EXPECT_EQ(kNone, FirstWrongByte(blocks[i], hak_usable_size(blocks[i]), size * 10 + i)) << "block " << i;
    }
    // Freeing the odd ones leaves the others as they are.
    for (int i = 1; i < kNeighbours; i += 2) hak_free(blocks[i]);
    for (int i = 0; i < kNeighbours; i += 2) {
      EXPECT_EQ(kNone, FirstWrongByte(blocks[i], hak_usable_size(blocks[i]), size * 10 + i)) << "block " << i;
      hak_free(blocks[i]);
    }
  }
}

TEST_F(ApiConformance, UsableSizeOfNullIsZero) { EXPECT_EQ(0u, hak_usable_size(nullptr)); }

// ---- calloc ----

TEST_F(ApiConformance, CallocIsZeroOverTheWholeUsableSizeAlsoInDirtyMemory) {
  std::vector<size_t> sizes = ClassBoundaries();
  for (size_t size : {0, 1, 7, 60000, 100000, 262144, 700000, 1048577, 2500000, 9000000}) sizes.push_back(size);
  for (size_t size : sizes) {
    SCOPED_TRACE("calloc(1, " + std::to_string(size) + ")");
    const size_t count = size < 40000 ? 20 : 3;
    std::vector<void *> blocks(count);
    for (int round = 0; round < 3; ++round) {
      for (void *&block : blocks) {
        // Three ways to say the same size.
        block = round == 0 ? hak_calloc(1, size) : round == 1 ? hak_calloc(size, 1) : hak_calloc(size / 2 + 1, 2);
        ASSERT_NE(nullptr, block);
        ASSERT_TRUE(IsAligned(block, 16));
        const size_t usable = hak_usable_size(block);
        ASSERT_GE(usable, size);
        ASSERT_EQ(kNone, FirstNonZero(block, usable)) << "round " << round;
        memset(block, 0xA5, usable);
      }
      for (void *block : blocks) hak_free(block);
      if (round == 1) hak_trim(0);  // the third round finds memory that was given back, or fresh one
    }
  }
}

// malloc's dirty blocks, of many sizes at once, come back from calloc as zeroes.
TEST_F(ApiConformance, CallocAfterMallocOfOtherSizes) {
  Random random(FirstSeed());
  SCOPED_TRACE("seed " + std::to_string(FirstSeed()));
  std::vector<void *> blocks(2000);
  for (int round = 0; round < 5; ++round) {
    for (void *&block : blocks) {
      block = hak_malloc(random.LogUniform(200000));
      ASSERT_NE(nullptr, block);
      memset(block, 0xFF, hak_usable_size(block));
    }
    for (void *block : blocks) hak_free(block);
    for (void *&block : blocks) {
      block = hak_calloc(random.LogUniform(200000), 1);
      ASSERT_NE(nullptr, block);
      ASSERT_EQ(kNone, FirstNonZero(block, hak_usable_size(block)));
    }
    for (void *block : blocks) hak_free(block);
  }
}

TEST_F(ApiConformance, CallocOfNothing) {
  for (auto [count, size] : {std::pair<size_t, size_t>{0, 5}, {5, 0}, {0, 0}, {0, SIZE_MAX}, {SIZE_MAX, 0}}) {
    SCOPED_TRACE("calloc(" + std::to_string(count) + ", " + std::to_string(size) + ")");
    void *const one = hak_calloc(count, size);
    void *const other = hak_calloc(count, size);
    EXPECT_NE(nullptr, one);
    EXPECT_NE(nullptr, other);
    EXPECT_NE(one, other);
    EXPECT_TRUE(IsAligned(one, 16));
    hak_free(one);
    hak_free(other);
  }
}

// ---- free ----

TEST_F(ApiConformance, FreeOfNullDoesNothing) {
  const hak_statistics before = Statistics();
  errno = EDOM;
  hak_free(nullptr);
  hak_free_sized(nullptr, 0);
  hak_free_sized(nullptr, 100);
  hak_free_aligned_sized(nullptr, 64, 128);
  EXPECT_EQ(EDOM, errno);
  EXPECT_EQ(before.live_bytes, Statistics().live_bytes);
}

// Also where freeing unmaps, purges, or flushes a full cache.
TEST_F(ApiConformance, FreeKeepsErrno) {
  for (size_t size : {size_t{0}, size_t{16}, size_t{1000}, size_t{30000}, 64 * kKiB, 500 * kKiB, kMiB, 3 * kMiB,
                      32 * kMiB, 256 * kMiB}) {
    void *const block = hak_malloc(size);
    ASSERT_NE(nullptr, block);
    errno = EDOM;
    hak_free(block);
    EXPECT_EQ(EDOM, errno) << "free of " << size << " bytes";
  }
  for (size_t size : {24, 1024, 20000, 90000}) {
    std::vector<void *> blocks(Scaled(size < 20000 ? 100000 : 2000));
    for (void *&block : blocks) ASSERT_NE(nullptr, block = hak_malloc(size));
    for (size_t i = 0; i < blocks.size(); ++i) {
      errno = ERANGE;
      hak_free(blocks[i]);
      ASSERT_EQ(ERANGE, errno) << "free number " << i << " of " << size << " bytes";
    }
  }
  errno = EDOM;
  hak_trim(0);
  EXPECT_EQ(EDOM, errno);
}

TEST_F(ApiConformance, FreeSizedTakesWhatWasAskedFor) {
  std::vector<size_t> sizes = ClassBoundaries();
  for (size_t size : {0, 1, 15, 16, 17, 4095, 4097, 65537, 200000, 1500000, 4194304}) sizes.push_back(size);
  for (size_t size : sizes) {
    for (size_t asked : {size, size + 1}) {
      errno = EDOM;
      hak_free_sized(hak_malloc(asked), asked);
      hak_free_sized(hak_calloc(asked, 1), asked);
      hak_free_sized(hak_realloc(hak_malloc(asked / 2 + 3), asked + 1), asked + 1);
      EXPECT_EQ(EDOM, errno) << asked;
    }
  }
}

// ---- Memory comes back to use ----

// The same blocks again and again: the heap does not grow, at any size.
TEST_F(ApiConformance, RepeatedUseDoesNotGrowTheHeap) {
  for (size_t size : {16, 200, 1024, 4096, 32768, 33000, 150000, 1000000, 1048577, 3000000, 20000000}) {
    SCOPED_TRACE("malloc(" + std::to_string(size) + ")");
    hak_trim(0);
    std::vector<void *> blocks(size < 100000 ? 1000 : 4);
    size_t committed = 0, mapped = 0;
    for (int round = 0; round < 30; ++round) {
      for (void *&block : blocks) {
        block = hak_malloc(size);
        ASSERT_NE(nullptr, block);
        memset(block, 1, size < 4096 ? size : 4096);
      }
      const hak_statistics s = Statistics();
      if (round < 2) {
        committed = s.committed_bytes;
        mapped = s.mapped_bytes;
        EXPECT_LE(committed, 2 * s.live_bytes + 4 * kMiB);
      } else {
        EXPECT_LE(s.committed_bytes, committed + 2 * kMiB) << "round " << round;
        EXPECT_LE(s.mapped_bytes, mapped + 4 * kMiB) << "round " << round;
      }
      for (void *block : blocks) hak_free(block);
    }
  }
}

TEST_F(ApiConformance, BuildInfoNamesVariantAndLevel) {
  const std::string info = hak_build_info();
  EXPECT_EQ(0u, info.find("hakmem " + std::to_string(HAK_VERSION_MAJOR) + "." + std::to_string(HAK_VERSION_MINOR) +
                          "." + std::to_string(HAK_VERSION_PATCH) + " "))
      << info;
  for (const char *part : {" variant=", " checks=", " compiler=", " optimisation=", " lto=", " tls="}) {
    EXPECT_NE(std::string::npos, info.find(part)) << part << " is missing in: " << info;
  }
#ifdef HAK_TEST_EXPECTED_CHECKS
  EXPECT_EQ(HAK_TEST_EXPECTED_CHECKS, ChecksLevel()) << info;
#endif
  EXPECT_GE(ChecksLevel(), 0) << info;
  EXPECT_LE(ChecksLevel(), 2) << info;
  EXPECT_EQ(hak_build_info(), hak_build_info());
}

}  // namespace
}  // namespace hak_test
