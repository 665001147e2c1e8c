// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the public interface share: seeded random numbers, the contents that blocks are filled with, the
// reference model of live blocks, the rules that statistics keep, and a fixture that holds every test to them.
// A test writes hak_malloc and so on; with HAK_PREFIX defined these are the functions of one fixed checks level.

#ifndef HAKMEM_TESTS_UNIT_TEST_SUPPORT_H_
#define HAKMEM_TESTS_UNIT_TEST_SUPPORT_H_

#include <errno.h>
#include <gtest/gtest.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "hakmem/hakmem.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAK_TEST_THREAD_SANITIZER 1
#define HAK_TEST_SLOWDOWN 10
#elif __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define HAK_TEST_SLOWDOWN 3
#endif
#endif
#if !defined(HAK_TEST_SLOWDOWN) && defined(__SANITIZE_THREAD__)
#define HAK_TEST_THREAD_SANITIZER 1
#define HAK_TEST_SLOWDOWN 10
#elif !defined(HAK_TEST_SLOWDOWN) && defined(__SANITIZE_ADDRESS__)
#define HAK_TEST_SLOWDOWN 3
#endif
#ifndef HAK_TEST_SLOWDOWN
#define HAK_TEST_SLOWDOWN 1
#endif

namespace hak_test {

constexpr size_t kKiB = 1024, kMiB = 1024 * kKiB;
constexpr size_t kPtrdiffMax = PTRDIFF_MAX;

// Under a sanitizer everything is slower: a count of repetitions, made smaller there.
constexpr size_t Scaled(size_t count) { return (count + HAK_TEST_SLOWDOWN - 1) / HAK_TEST_SLOWDOWN; }

// The checks level of the library under test (0 direct, 1 checked, 2 Box), from hak_build_info().
inline int ChecksLevel() {
  const char *found = strstr(hak_build_info(), " checks=");
  return found == nullptr ? -1 : atoi(found + strlen(" checks="));
}

// The first seed of every random test; HAK_TEST_SEED in the environment replaces it.
inline uint64_t FirstSeed() {
  const char *given = getenv("HAK_TEST_SEED");
  return given == nullptr ? 42 : strtoull(given, nullptr, 0);
}

// splitmix64: small, and the same on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  size_t Below(size_t limit) { return static_cast<size_t>(Next() % limit); }
  size_t Between(size_t first, size_t last) { return first + Below(last - first + 1); }
  bool OneIn(size_t n) { return Below(n) == 0; }
  // 0..limit, each doubling as likely as the next.
  size_t LogUniform(size_t limit) {
    unsigned bits = 1;
    while (bits < 63 && (limit >> bits) != 0) ++bits;
    const size_t size = static_cast<size_t>(Next() & ((uint64_t{1} << Below(bits + 1)) - 1));
    return size <= limit ? size : Below(limit + 1);
  }

 private:
  uint64_t state_;
};

// Contents. Block `key` of any size holds a prefix of the same endless string, which differs from that of other keys and
// from itself at any distance, so that a lost, moved, swapped or overwritten byte shows, also after realloc.
constexpr size_t kPatternPage = 4096;

inline const unsigned char *PatternTable() {
  static unsigned char *const table = [] {
    static unsigned char bytes[2 * kPatternPage];
    Random random(0x7AB1E);
    for (unsigned char &byte : bytes) byte = static_cast<unsigned char>(random.Next());
    return bytes;
  }();
  return table;
}

inline void PatternStamp(uint64_t key, size_t offset, unsigned char stamp[8]) {
  const uint64_t value = Random(key * 0x2545F4914F6CDD1Du + offset).Next();
  memcpy(stamp, &value, 8);
}

inline void FillPattern(void *block, size_t size, uint64_t key) {
  unsigned char *const bytes = static_cast<unsigned char *>(block);
  const unsigned char *const source = PatternTable() + key % kPatternPage;
  for (size_t offset = 0; offset < size; offset += kPatternPage) {
    const size_t part = size - offset < kPatternPage ? size - offset : kPatternPage;
    unsigned char stamp[8];
    PatternStamp(key, offset, stamp);
    const size_t stamped = part < 8 ? part : 8;
    memcpy(bytes + offset, stamp, stamped);
    memcpy(bytes + offset + stamped, source + stamped, part - stamped);
  }
}

constexpr size_t kNone = SIZE_MAX;

// The offset of the first byte that is not as FillPattern(block, size, key) left it, or kNone.
inline size_t FirstWrongByte(const void *block, size_t size, uint64_t key) {
  const unsigned char *const bytes = static_cast<const unsigned char *>(block);
  const unsigned char *const source = PatternTable() + key % kPatternPage;
  for (size_t offset = 0; offset < size; offset += kPatternPage) {
    const size_t part = size - offset < kPatternPage ? size - offset : kPatternPage;
    unsigned char stamp[8];
    PatternStamp(key, offset, stamp);
    const size_t stamped = part < 8 ? part : 8;
    if (memcmp(bytes + offset, stamp, stamped) == 0 &&
        memcmp(bytes + offset + stamped, source + stamped, part - stamped) == 0) {
      continue;
    }
    for (size_t i = 0; i < part; ++i) {
      if (bytes[offset + i] != (i < stamped ? stamp[i] : source[i])) return offset + i;
    }
  }
  return kNone;
}

// The offset of the first byte that is not 0, or kNone.
inline size_t FirstNonZero(const void *block, size_t size) {
  static const unsigned char zeros[kPatternPage] = {};
  const unsigned char *const bytes = static_cast<const unsigned char *>(block);
  for (size_t offset = 0; offset < size; offset += kPatternPage) {
    const size_t part = size - offset < kPatternPage ? size - offset : kPatternPage;
    if (memcmp(bytes + offset, zeros, part) == 0) continue;
    for (size_t i = 0; i < part; ++i) {
      if (bytes[offset + i] != 0) return offset + i;
    }
  }
  return kNone;
}

inline bool IsAligned(const void *pointer, size_t alignment) {
  return (reinterpret_cast<uintptr_t>(pointer) & (alignment - 1)) == 0;
}

inline hak_statistics Statistics() {
  hak_statistics statistics;
  memset(&statistics, 0xEE, sizeof statistics);
  EXPECT_EQ(0, hak_get_statistics(&statistics, sizeof statistics));
  return statistics;
}

// The rules of hakmem.h that hold between the figures of one snapshot.
inline void ExpectFiguresAddUp(const hak_statistics &s) {
  EXPECT_EQ(static_cast<uint32_t>(HAK_STATISTICS_VERSION), s.version);
  ASSERT_LE(s.classes, static_cast<uint32_t>(HAK_STATISTICS_CLASSES));
  size_t live = 0, cached = 0, free = 0, slabs = 0;
  for (uint32_t i = 0; i < s.classes; ++i) {
    const hak_class_statistics &c = s.by_class[i];
    SCOPED_TRACE("class " + std::to_string(i) + ", block_size " + std::to_string(c.block_size));
    EXPECT_EQ(c.blocks_carved, c.blocks_live + c.blocks_cached + c.blocks_free);
    EXPECT_LE(c.blocks_carved * c.block_size, c.slab_bytes);
    if (c.block_size == 0) {
      EXPECT_EQ(0u, c.blocks_carved);
      EXPECT_EQ(0u, c.slab_bytes);
    } else {
      EXPECT_GE(c.alignment, 16u);
      EXPECT_EQ(0u, c.alignment & (c.alignment - 1));
      EXPECT_EQ(0u, c.block_size % c.alignment);
      live += c.blocks_live * (c.block_size - 1);
    }
    cached += c.blocks_cached * c.block_size;
    free += c.blocks_free * c.block_size;
    slabs += c.slab_bytes;
  }
  EXPECT_EQ(live, s.small_live_bytes);
  EXPECT_EQ(cached, s.cached_bytes);
  EXPECT_EQ(free, s.free_bytes);
  EXPECT_EQ(slabs, s.slab_bytes);
  EXPECT_EQ(s.live_bytes, s.small_live_bytes + s.large_live_bytes);
  EXPECT_EQ(s.committed_bytes, s.slab_bytes + s.large_bytes + s.dirty_bytes);
  EXPECT_LE(s.small_live_bytes + s.cached_bytes + s.free_bytes, s.slab_bytes);
  EXPECT_LE(s.large_live_bytes, s.large_bytes);
  EXPECT_LE(s.committed_bytes, s.mapped_bytes);
}

// The largest size that is served by a class.
constexpr size_t kLargestSmall = 32 * kKiB;

// Which blocks are live, by usable size: what the statistics must say of them. At checks level 2 a block's usable size is
// the one that was asked for, which does not tell its class: there only their number and the least of their bytes are known.
class LiveModel {
 public:
  void Add(const void *block) { ++blocks_by_usable_[hak_usable_size(block)]; }
  void Remove(const void *block) {
    const size_t usable = hak_usable_size(block);
    auto found = blocks_by_usable_.find(usable);
    ASSERT_NE(found, blocks_by_usable_.end()) << "no live block of usable size " << usable;
    if (--found->second == 0) blocks_by_usable_.erase(found);
  }

  // Two classes of one block size, with different alignments, count together here.
  void ExpectEqual(const hak_statistics &s) const {
    if (ChecksLevel() == 2) {
      ExpectAsManyAndNoSmaller(s);
      return;
    }
    std::map<size_t, size_t> reported;
    size_t largest_class = 0;
    for (uint32_t i = 0; i < s.classes && i < HAK_STATISTICS_CLASSES; ++i) {
      const hak_class_statistics &c = s.by_class[i];
      if (c.block_size == 0) continue;
      if (c.blocks_live != 0) reported[c.block_size - 1] += c.blocks_live;
      if (c.block_size > largest_class) largest_class = c.block_size;
    }
    std::map<size_t, size_t> small;
    size_t small_bytes = 0, large_blocks = 0, large_bytes = 0;
    for (const auto &[usable, blocks] : blocks_by_usable_) {
      if (usable < largest_class) {
        small[usable] = blocks;
        small_bytes += usable * blocks;
      } else {
        large_blocks += blocks;
        large_bytes += usable * blocks;
      }
    }
    EXPECT_EQ(small, reported) << "live blocks by usable size";
    EXPECT_EQ(small_bytes, s.small_live_bytes);
    EXPECT_EQ(large_blocks, s.large_live_blocks);
    EXPECT_EQ(large_bytes, s.large_live_bytes);
  }

 private:
  // Large are all blocks above the last class, and of those below it some that have a great alignment.
  void ExpectAsManyAndNoSmaller(const hak_statistics &s) const {
    size_t reported = s.large_live_blocks, blocks = 0, bytes = 0, large_blocks = 0, large_bytes = 0;
    for (uint32_t i = 0; i < s.classes && i < HAK_STATISTICS_CLASSES; ++i) reported += s.by_class[i].blocks_live;
    for (const auto &[size, count] : blocks_by_usable_) {
      blocks += count;
      bytes += size * count;
      if (size <= kLargestSmall) continue;
      large_blocks += count;
      large_bytes += size * count;
    }
    EXPECT_EQ(blocks, reported);
    EXPECT_LE(bytes, s.live_bytes);
    EXPECT_LE(large_blocks, s.large_live_blocks);
    EXPECT_LE(large_bytes, s.large_live_bytes);
  }

  std::map<size_t, size_t> blocks_by_usable_;
};

// Every test begins and ends with no live block, and with figures that add up.
class AllocatorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(0u, Statistics().live_bytes) << "an earlier test failed, and left blocks behind";
    ExpectNothingLive("before the test");
  }
  void TearDown() override { ExpectNothingLive("after the test"); }

  static void ExpectNothingLive(const char *moment) {
    SCOPED_TRACE(moment);
    const hak_statistics s = Statistics();
    ExpectFiguresAddUp(s);
    EXPECT_EQ(0u, s.live_bytes);
    EXPECT_EQ(0u, s.large_live_blocks);
    EXPECT_EQ(0u, s.large_live_bytes);
    for (uint32_t i = 0; i < s.classes && i < HAK_STATISTICS_CLASSES; ++i) {
      EXPECT_EQ(0u, s.by_class[i].blocks_live) << "class " << i << ", block_size " << s.by_class[i].block_size;
    }
  }

  // After everything was freed and no other thread has a cache: hak_trim leaves no memory in slabs or runs.
  static void ExpectTrimLeavesNothing() {
    hak_trim(0);
    const hak_statistics s = Statistics();
    ExpectFiguresAddUp(s);
    EXPECT_EQ(0u, s.cached_bytes);
    EXPECT_EQ(0u, s.free_bytes);
    EXPECT_EQ(0u, s.slab_bytes);
    EXPECT_EQ(0u, s.large_bytes);
    EXPECT_EQ(0u, s.dirty_bytes);
    EXPECT_EQ(0u, s.committed_bytes);
  }
};

// The largest size of each class of ordinary blocks, in ascending order. From the statistics: at checks level 2 the usable
// size of a block does not tell its class.
inline std::vector<size_t> ClassBoundaries() {
  const hak_statistics s = Statistics();
  std::vector<size_t> boundaries;
  for (uint32_t i = 0; i < s.classes && i < HAK_STATISTICS_CLASSES; ++i) {
    const hak_class_statistics &c = s.by_class[i];
    if (c.block_size == 0 || c.alignment != 16) continue;
    boundaries.push_back(c.block_size <= kLargestSmall ? c.block_size - 1 : kLargestSmall);
  }
  std::sort(boundaries.begin(), boundaries.end());
  return boundaries;
}

}  // namespace hak_test

#endif  // HAKMEM_TESTS_UNIT_TEST_SUPPORT_H_
