// SPDX-License-Identifier: Apache-2.0
//
// Memory that cannot be had. With the memory calls of os_memory_fake.c, a script of allocations runs again and again in
// fresh children, each time with the next call failing: once, or from there on for good. Every result is a
// valid block or NULL with ENOMEM, live blocks keep their contents, and once memory can be had again all is as if nothing
// had happened: nothing is lost, nothing leaks. The whole is done twice, the second time by this program run again under
// an address-space limit, which makes the allocator give addresses back.

#include <thread>

#include "allocator/os/os_memory_fake.h"
#include "tests/unit/child_process.h"
#include "tests/unit/test_support.h"

namespace hak_test {
namespace {

// What happens before the allocator starts, which it does in a constructor: "fail KINDS CALLS COUNT" or "limit BYTES".
constexpr char kAtStart[] = "HAK_TEST_AT_START";

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wprio-ctor-dtor"
#endif
__attribute__((constructor(100))) void PrepareFakeBeforeTheAllocatorStarts() {
  const char *const what = getenv(kAtStart);
  if (what == nullptr) return;
  unsigned kinds;
  size_t calls, count;
  if (sscanf(what, "fail %u %zu %zu", &kinds, &calls, &count) == 3) os_fake_fail(kinds, calls, count);
  if (sscanf(what, "limit %zu", &count) == 1) os_fake_set_limit(count);
}

bool Limited() { return getenv(kAtStart) != nullptr; }

hak_statistics ChildStatistics() {
  hak_statistics statistics;
  if (hak_get_statistics(&statistics, sizeof statistics) != 0) ChildFails("no statistics");
  return statistics;
}

// ---- The script ----

class Script {
 public:
  // Allocates, reallocates and frees all kinds of blocks. Returns how many calls had no memory.
  size_t Run(uint64_t seed) {
    Random random(seed);
    refused_ = 0;
    for (size_t step = 0; step < 250; ++step) {
      if (os_fake_mapped_bytes() > most_mapped_) most_mapped_ = os_fake_mapped_bytes();
      Block &block = blocks_[random.Below(kSlots)];
      if (block.pointer == nullptr) {
        Allocate(random, block);
      } else if (random.OneIn(3)) {
        Reallocate(random, block);
      } else {
        Check(block, block.size);
        Free(block);
      }
      if (step % 150 == 149) hak_trim(0);
    }
    for (Block &block : blocks_) {
      if (block.pointer == nullptr) continue;
      Check(block, block.size);
      Free(block);
    }
    if (seed % 2 == 0) MoveASpan();
    hak_trim(0);
    return refused_;
  }

  // The most that was mapped while it ran.
  size_t most_mapped() const { return most_mapped_; }

 private:
  static constexpr size_t kSlots = 40;
  struct Block {
    void *pointer = nullptr;
    size_t size = 0;
    uint64_t key = 0;
  };

  static size_t PickSize(Random &random) {
    if (random.OneIn(60)) return random.Between(2 * kMiB, 9 * kMiB);
    if (random.OneIn(30)) return random.Between(100 * kKiB, 2 * kMiB);
    static const size_t kinds[] = {100, 2000, 30000, 70000};
    return random.Below(kinds[random.Below(4)]) + 1;
  }

  void Enter(Block &block, size_t alignment, const char *call) {
    if (block.pointer == nullptr) {
      if (errno != ENOMEM) ChildFails("%s gave NULL with errno %d", call, errno);
      ++refused_;
      return;
    }
    if (!IsAligned(block.pointer, alignment)) ChildFails("%s: misaligned", call);
    if (hak_usable_size(block.pointer) < block.size) ChildFails("%s: too small", call);
    Fill(block);
  }

  // Blocks are big and many: of each, the ends are looked at.
  static constexpr size_t kEnd = 5000;
  void Fill(Block &block) {
    block.key = ++last_key_;
    FillPattern(block.pointer, block.size < kEnd ? block.size : kEnd, block.key);
    if (block.size > kEnd) static_cast<unsigned char *>(block.pointer)[block.size - 1] = 0x5A;
  }
  static void Check(const Block &block, size_t size) {
    const size_t wrong = FirstWrongByte(block.pointer, size < kEnd ? size : kEnd, block.key);
    if (wrong != kNone) ChildFails("byte %zu of a block of %zu was overwritten", wrong, block.size);
    if (size > kEnd && size == block.size && static_cast<unsigned char *>(block.pointer)[size - 1] != 0x5A) {
      ChildFails("the last byte of a block of %zu was overwritten", block.size);
    }
  }

  void Allocate(Random &random, Block &block) {
    block.size = PickSize(random);
    errno = 0;
    switch (random.Below(6)) {
      case 0: {
        block.pointer = hak_calloc(1, block.size);
        if (block.pointer != nullptr) {
          const size_t wrong = FirstNonZero(block.pointer, block.size);
          if (wrong != kNone) ChildFails("calloc of %zu bytes: byte %zu is not 0", block.size, wrong);
        }
        return Enter(block, 16, "calloc");
      }
      case 1: {
        const size_t alignment = size_t{1} << random.Below(23);
        block.pointer = hak_aligned_alloc(alignment, block.size);
        return Enter(block, alignment < 16 ? 16 : alignment, "aligned_alloc");
      }
      case 2: {
        errno = ENOMEM;  // it does not set errno
        block.pointer = nullptr;
        const int result = hak_posix_memalign(&block.pointer, 64, block.size);
        if ((result == 0) != (block.pointer != nullptr) || (result != 0 && result != ENOMEM)) {
          ChildFails("posix_memalign returned %d", result);
        }
        return Enter(block, 64, "posix_memalign");
      }
      default:
        block.pointer = hak_malloc(block.size);
        return Enter(block, 16, "malloc");
    }
  }

  void Reallocate(Random &random, Block &block) {
    Check(block, block.size);
    const size_t size = PickSize(random);
    errno = 0;
    void *const moved = hak_realloc(block.pointer, size);
    if (moved == nullptr) {
      if (errno != ENOMEM) ChildFails("realloc gave NULL with errno %d", errno);
      ++refused_;
      return Check(block, block.size);
    }
    block.pointer = moved;
    Check(block, size < block.size ? size : block.size);
    block.size = size;
    Fill(block);
  }

  // A block that has a superslab of its own, with another one behind it, cannot grow where it is: its pages are moved.
  void MoveASpan() {
    Block block;
    block.size = 1000;
    block.pointer = hak_aligned_alloc(128 * kKiB, block.size);
    Enter(block, 128 * kKiB, "aligned_alloc");
    void *const behind = hak_malloc(3 * kMiB);
    if (behind == nullptr) ++refused_;
    if (block.pointer != nullptr) {
      errno = 0;
      void *const moved = hak_realloc(block.pointer, 5 * kMiB);
      if (moved == nullptr) {
        if (errno != ENOMEM) ChildFails("realloc gave NULL with errno %d", errno);
        ++refused_;
      } else {
        block.pointer = moved;
      }
      Check(block, block.size);
      Free(block);
    }
    hak_free(behind);
  }

  static void Free(Block &block) {
    errno = EDOM;
    hak_free(block.pointer);
    if (errno != EDOM) ChildFails("free changed errno to %d", errno);
    block.pointer = nullptr;
  }

  Block blocks_[kSlots];
  uint64_t last_key_ = 0;
  size_t refused_ = 0;
  size_t most_mapped_ = 0;
};

// Everything was freed: nothing is live, the figures add up, and trim leaves nothing.
void CheckEmptyHeap() {
  hak_trim(0);
  const hak_statistics s = ChildStatistics();
  if (s.live_bytes != 0 || s.large_live_blocks != 0) ChildFails("%zu bytes are live after all was freed", s.live_bytes);
  if (s.committed_bytes != 0) {
    ChildFails("after trim: slabs %zu, large %zu, dirty %zu", s.slab_bytes, s.large_bytes, s.dirty_bytes);
  }
  for (uint32_t c = 0; c < s.classes; ++c) {
    const hak_class_statistics &one = s.by_class[c];
    if (one.blocks_carved != 0 || one.blocks_live != 0 || one.blocks_cached != 0 || one.blocks_free != 0) {
      ChildFails("class %u is not empty: %zu live, %zu cached, %zu free", c, one.blocks_live, one.blocks_cached,
                 one.blocks_free);
    }
  }
  if (os_fake_errors() != 0) ChildFails("%zu calls for memory that is not held", os_fake_errors());
}

constexpr int kNoMoreCalls = 10;

// In a child: the script with failures from call n on, then without any.
int RunScriptWithFailures(unsigned kinds, size_t n, size_t count) {
  Script script;
  const size_t before = os_fake_calls(kinds);
  os_fake_fail(kinds, n, count);
  size_t refused = script.Run(FirstSeed());
  const bool reached = os_fake_calls(kinds) - before > n;
  os_fake_fail(0, 0, 0);
  refused = script.Run(FirstSeed() + 1);
  if (refused != 0) ChildFails("%zu calls had no memory, although nothing fails any more", refused);
  CheckEmptyHeap();
  // Again, until whatever is lost in a round would show. What the kernel refused to take back may stay mapped, but that
  // is no more than was mapped at once.
  const size_t most_mapped = script.most_mapped();
  for (int round = 0; round < 3; ++round) {
    os_fake_fail(kinds, n, count);
    script.Run(FirstSeed());
    os_fake_fail(0, 0, 0);
    CheckEmptyHeap();
  }
  if (os_fake_mapped_bytes() > most_mapped + most_mapped / 4) {
    ChildFails("%zu bytes stay mapped, of which the script needs %zu", os_fake_mapped_bytes(), most_mapped);
  }
  return reached ? 0 : kNoMoreCalls;
}

struct Fault {
  const char *name;
  unsigned kinds;
};

const Fault kFaults[] = {{"map", OS_FAKE_MAP},
                         {"map_at", OS_FAKE_MAP_AT},
                         {"purge", OS_FAKE_PURGE},
                         {"release", OS_FAKE_RELEASE},
                         {"everything", OS_FAKE_ALL}};

void PrintTo(const Fault &fault, std::ostream *stream) { *stream << fault.name; }

class Exhaustion : public ::testing::TestWithParam<Fault> {};

TEST_P(Exhaustion, TheNthCallFails) {
  for (size_t count : {size_t{1}, SIZE_MAX}) {
    size_t reached = 0;
    // The first calls one by one, of the others a sample.
    for (size_t n = 0;; n += n < 6 ? 1 : n / 2) {
      const int status = RunInChild([&] { return RunScriptWithFailures(GetParam().kinds, n, count); });
      if (WIFEXITED(status) && WEXITSTATUS(status) == kNoMoreCalls) break;
      ASSERT_EQ(0, status) << "call " << n << " and " << count - 1 << " more fail: " << DescribeStatus(status)
                           << ", seed " << FirstSeed();
      ++reached;
    }
    // Addresses are given back only where they are limited.
    if (GetParam().kinds != OS_FAKE_RELEASE || Limited()) {
      EXPECT_GE(reached, GetParam().kinds == OS_FAKE_MAP ? 1u : 5u) << "the script makes too few of these calls";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Calls, Exhaustion, ::testing::ValuesIn(kFaults),
                         [](const auto &info) { return std::string(info.param.name); });

// The very first calls of the process fail, those for the allocator's own tables among them.
TEST(ExhaustionAtStart, AProcessStartsWithoutMemoryAndRecovers) {
  if (Limited()) return;  // it is this environment variable
  for (unsigned kinds : {unsigned{OS_FAKE_MAP}, unsigned{OS_FAKE_MAP_AT}, unsigned{OS_FAKE_ALL}}) {
    for (size_t n = 0; n < 5; ++n) {
      for (size_t count : {size_t{1}, SIZE_MAX}) {
        const std::string how = "fail " + std::to_string(kinds) + " " + std::to_string(n) + " " + std::to_string(count);
        const Outcome outcome = RunSelf({"--child=start"}, {std::string(kAtStart) + "=" + how});
        EXPECT_EQ(0, outcome.status) << how << ": " << DescribeStatus(outcome.status) << "\n" << outcome.errors;
      }
    }
  }
}

int StartChild() {
  Script script;
  CheckEmptyHeap();
  script.Run(FirstSeed());
  script.Run(FirstSeed() + 1);
  void *const block = hak_malloc(10);
  if (block == nullptr && errno != ENOMEM) ChildFails("malloc gave NULL with errno %d", errno);
  hak_free(block);
  os_fake_fail(0, 0, 0);
  if (script.Run(FirstSeed()) != 0) ChildFails("no memory, although nothing fails any more");
  CheckEmptyHeap();
  return 0;
}

// ---- Limits ----

// What `ulimit -v` does: never more than the limit, ENOMEM beyond it, and all of it can be used again.
TEST(ExhaustionUnderALimit, AllTestsAgain) {
  if (Limited()) return;
  const Outcome outcome = RunSelf({}, {std::string(kAtStart) + "=limit " + std::to_string(1024 * kMiB)});
  EXPECT_EQ(0, outcome.status) << DescribeStatus(outcome.status) << "\n" << outcome.output << outcome.errors;
}

TEST(ExhaustionUnderALimit, TheLimitIsKeptAndUsed) {
  if (Limited()) return;
  for (size_t mib : {100, 200}) {
    const Outcome outcome =
        RunSelf({"--child=limit"}, {std::string(kAtStart) + "=limit " + std::to_string(mib * kMiB)});
    EXPECT_EQ(0, outcome.status) << mib << " MiB: " << DescribeStatus(outcome.status) << "\n" << outcome.errors;
  }
}

// Fills the heap until there is no more memory, and says how many bytes of blocks it held.
size_t FillTheHeap(size_t size) {
  std::vector<void *> blocks;
  for (;;) {
    errno = 0;
    void *const block = hak_malloc(size);
    if (block == nullptr) break;
    *static_cast<char *>(block) = 1;
    blocks.push_back(block);
  }
  if (errno != ENOMEM) ChildFails("malloc gave NULL with errno %d", errno);
  // A full heap is still a heap: what was freed can be had again, and realloc fails without harm.
  for (int i = 0; i < 100; ++i) {
    void *&block = blocks[blocks.size() * static_cast<size_t>(i) / 100];
    hak_free(block);
    block = hak_malloc(size);
    if (block == nullptr) ChildFails("a full heap does not give a freed block of %zu bytes out again", size);
    if (hak_realloc(block, 2000 * kMiB) != nullptr) ChildFails("2000 MiB under the limit");
  }
  for (void *block : blocks) hak_free(block);
  return blocks.size() * size;
}

int LimitChild() {
  size_t limit = 0;
  if (sscanf(getenv(kAtStart), "limit %zu", &limit) != 1) ChildFails("no limit");
  // One size after the other: memory that held small blocks must come back for large ones, and the other way round.
  for (int round = 0; round < 2; ++round) {
    for (size_t size : {size_t{1000}, 100 * kKiB, 3 * kMiB, size_t{30000}}) {
      const size_t held = FillTheHeap(size);
      if (held < limit / 2) ChildFails("only %zu bytes in blocks of %zu fit under the limit of %zu", held, size, limit);
      if (os_fake_mapped_bytes() > limit) ChildFails("%zu bytes are mapped", os_fake_mapped_bytes());
    }
  }
  hak_trim(0);
  CheckEmptyHeap();
  if (ChildStatistics().mapped_bytes != 0) ChildFails("%zu bytes stay mapped", ChildStatistics().mapped_bytes);
  return 0;
}

// ---- Other things that go wrong ----

// Somebody else's mappings lie where the window would go on.
TEST(ExhaustionOccupied, OccupiedAddressesAreLeftOut) {
  for (size_t count : {1, 2, 5, 20}) {
    const int status = RunInChild([&] {
      Script script;
      os_fake_occupy(count);
      if (script.Run(FirstSeed()) != 0) ChildFails("no memory");
      os_fake_occupy(count);
      if (script.Run(FirstSeed() + 1) != 0) ChildFails("no memory");
      CheckEmptyHeap();
      return 0;
    });
    EXPECT_EQ(0, status) << count << ": " << DescribeStatus(status);
  }
}

// Where the kernel refuses to take pages back, their contents stay: calloc must not take them for zeroes.
TEST(ExhaustionPurge, CallocIsZeroAfterAFailedPurge) {
  const int status = RunInChild([] {
    for (size_t size : {70000, 500000, 4000000}) {
      for (int round = 0; round < 4; ++round) {
        void *blocks[4];
        for (void *&block : blocks) {
          block = hak_malloc(size);
          if (block == nullptr) ChildFails("no memory");
          memset(block, 0xAA, hak_usable_size(block));
        }
        for (void *block : blocks) hak_free(block);
        // Every second call fails: some superslabs are purged, others not.
        os_fake_fail(OS_FAKE_PURGE | OS_FAKE_RELEASE, static_cast<size_t>(round), round == 3 ? SIZE_MAX : 2);
        hak_trim(0);
        os_fake_fail(0, 0, 0);
        for (void *&block : blocks) {
          block = hak_calloc(1, size);
          if (block == nullptr) ChildFails("no memory");
          const size_t wrong = FirstNonZero(block, hak_usable_size(block));
          if (wrong != kNone) ChildFails("calloc of %zu after a failed purge: byte %zu is not 0", size, wrong);
        }
        for (void *block : blocks) hak_free(block);
      }
    }
    return 0;
  });
  EXPECT_EQ(0, status) << DescribeStatus(status);
}

// Several threads run out of memory together.
TEST(ExhaustionThreads, ThreadsRunOutTogether) {
  for (size_t n : {0, 2, 10}) {
    for (size_t count : {size_t{3}, SIZE_MAX}) {
      const int status = RunInChild([&] {
        os_fake_fail(OS_FAKE_MAP | OS_FAKE_MAP_AT, n, count);
        std::vector<std::thread> threads;
        for (uint64_t t = 0; t < 4; ++t) {
          threads.emplace_back([t] {
            Script script;
            for (uint64_t round = 0; round < 2; ++round) script.Run(FirstSeed() + 10 * t + round);
          });
        }
        for (std::thread &thread : threads) thread.join();
        os_fake_fail(0, 0, 0);
        Script script;
        if (script.Run(FirstSeed()) != 0) ChildFails("no memory, although nothing fails any more");
        CheckEmptyHeap();
        return 0;
      });
      EXPECT_EQ(0, status) << "from call " << n << ": " << DescribeStatus(status);
    }
  }
}

}  // namespace
}  // namespace hak_test

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--child=start") == 0) return hak_test::StartChild();
  if (argc == 2 && strcmp(argv[1], "--child=limit") == 0) return hak_test::LimitChild();
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
