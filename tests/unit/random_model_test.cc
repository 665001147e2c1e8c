// SPDX-License-Identifier: Apache-2.0
//
// Random calls of every allocating function against a reference model: no two live blocks overlap, each keeps its
// contents and its alignment, and the statistics count what the model counts. Same seed, same calls; a failure prints it.

#include <ostream>

#include "tests/unit/test_support.h"

namespace hak_test {
namespace {

enum class Sizes { kTiny, kSmall, kMedium, kBoundaries, kMixed, kLarge };

struct Workload {
  const char *name;
  Sizes sizes;
  size_t slots;
  size_t steps;
};

void PrintTo(const Workload &workload, std::ostream *stream) { *stream << workload.name; }

class RandomModel : public AllocatorTest, public ::testing::WithParamInterface<Workload> {
 protected:
  struct Block {
    void *pointer = nullptr;
    size_t size = 0;
    size_t usable = 0;
    size_t alignment = 16;  // as asked for; 0: not from an aligned function
    uint64_t key = 0;
  };

  size_t PickSize(Random &random) {
    switch (GetParam().sizes) {
      case Sizes::kTiny:
        return random.Below(129);
      case Sizes::kSmall:
        return random.Below(1025);
      case Sizes::kMedium:
        return random.Between(1, 8192);
      case Sizes::kBoundaries:
        return boundaries_[random.Below(boundaries_.size())] + random.Below(4) - (random.OneIn(2) ? 0 : 1);
      case Sizes::kMixed:
        return random.LogUniform(random.OneIn(50) ? 4 * kMiB : 100 * kKiB);
      case Sizes::kLarge:
        return random.Between(30000, random.OneIn(4) ? 5 * kMiB : 400 * kKiB);
    }
    return 0;
  }

  // Enters a new block, filled to its last usable byte.
  void Enter(Block &block, const char *call) {
    ASSERT_NE(nullptr, block.pointer) << call;
    const size_t alignment = block.alignment > 16 ? block.alignment : 16;
    ASSERT_TRUE(IsAligned(block.pointer, alignment)) << call << " = " << block.pointer << ", alignment " << alignment;
    block.usable = hak_usable_size(block.pointer);
    ASSERT_GE(block.usable, block.size) << call;
    const uintptr_t start = reinterpret_cast<uintptr_t>(block.pointer);
    const auto next = ends_by_start_.lower_bound(start);
    ASSERT_TRUE(next == ends_by_start_.end() || next->first >= start + block.usable)
        << call << " = " << block.pointer << " of " << block.usable << " overlaps the live block at " << std::hex
        << next->first;
    ASSERT_TRUE(next == ends_by_start_.end() || next->first != start) << call << " gave out a live block";
    if (next != ends_by_start_.begin()) {
      const auto previous = std::prev(next);
      ASSERT_LE(previous->second, start) << call << " = " << block.pointer << " lies in the live block at " << std::hex
                                         << previous->first;
    }
    ends_by_start_[start] = start + block.usable;
    block.key = ++last_key_;
    FillPattern(block.pointer, block.usable, block.key);
    model_.Add(block.pointer);
  }

  void Leave(const Block &block) {
    ASSERT_EQ(block.usable, hak_usable_size(block.pointer));
    const size_t wrong = FirstWrongByte(block.pointer, block.usable, block.key);
    ASSERT_EQ(kNone, wrong) << "in the block " << block.pointer << " of size " << block.size << ", usable "
                            << block.usable;
    ends_by_start_.erase(reinterpret_cast<uintptr_t>(block.pointer));
    model_.Remove(block.pointer);
  }

  void Allocate(Random &random, Block &block) {
    block.size = PickSize(random);
    block.alignment = 0;
    const size_t alignment = size_t{1} << (random.OneIn(100) ? random.Below(22) : random.Below(14));
    switch (random.Below(12)) {
      case 0:
      case 1: {
        const size_t count = random.Between(1, 8);
        block.size = block.size / count * count;
        block.pointer = hak_calloc(count, block.size / count);
        if (block.pointer != nullptr) {
          ASSERT_EQ(kNone, FirstNonZero(block.pointer, hak_usable_size(block.pointer))) << "calloc of " << block.size;
        }
        return Enter(block, "calloc");
      }
      case 2:
        block.pointer = hak_realloc(nullptr, block.size);
        return Enter(block, "realloc(NULL)");
      case 3:
        block.alignment = alignment;
        block.pointer = hak_aligned_alloc(alignment, block.size);
        return Enter(block, "aligned_alloc");
      case 4:
        block.alignment = alignment < sizeof(void *) ? sizeof(void *) : alignment;
        block.pointer = nullptr;
        ASSERT_EQ(0, hak_posix_memalign(&block.pointer, block.alignment, block.size));
        return Enter(block, "posix_memalign");
      case 5:
        block.alignment = alignment;
        block.pointer = hak_memalign(alignment, block.size);
        return Enter(block, "memalign");
      default:
        block.pointer = hak_malloc(block.size);
        return Enter(block, "malloc");
    }
  }

  void Free(Random &random, Block &block) {
    Leave(block);
    if (HasFatalFailure()) return;
    errno = EDOM;
    switch (random.Below(6)) {
      case 0:
        ASSERT_EQ(nullptr, hak_realloc(block.pointer, 0));
        break;
      case 1:
        if (block.alignment == 0) {
          hak_free_sized(block.pointer, block.size);
        } else {
          hak_free_aligned_sized(block.pointer, block.alignment, block.size);
        }
        break;
      default:
        hak_free(block.pointer);
    }
    ASSERT_EQ(EDOM, errno);
    block.pointer = nullptr;
  }

  void Reallocate(Random &random, Block &block) {
    Leave(block);
    if (HasFatalFailure()) return;
    const size_t size = PickSize(random) + 1;
    block.pointer = random.OneIn(4) ? hak_reallocarray(block.pointer, 1, size) : hak_realloc(block.pointer, size);
    ASSERT_NE(nullptr, block.pointer);
    ASSERT_GE(hak_usable_size(block.pointer), size);
    const size_t kept = size < block.usable ? size : block.usable;
    const size_t wrong = FirstWrongByte(block.pointer, kept, block.key);
    ASSERT_EQ(kNone, wrong) << "after realloc from usable " << block.usable << " to " << size;
    block.size = size;
    block.alignment = 0;
    Enter(block, "realloc");
  }

  void CheckStatistics() {
    const hak_statistics s = Statistics();
    ExpectFiguresAddUp(s);
    model_.ExpectEqual(s);
  }

  void Run(uint64_t seed) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " (set HAK_TEST_SEED to begin with it)");
    Random random(seed);
    boundaries_ = ClassBoundaries();
    std::vector<Block> blocks(GetParam().slots);
    const size_t steps = Scaled(GetParam().steps);
    for (size_t step = 0; step < steps; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      Block &block = blocks[random.Below(blocks.size())];
      if (block.pointer == nullptr) {
        Allocate(random, block);
      } else if (random.OneIn(4)) {
        Reallocate(random, block);
      } else {
        Free(random, block);
      }
      if (random.OneIn(3000)) hak_trim(random.OneIn(2) ? 0 : kMiB);
      if (step % (steps / 20 + 1) == 0) CheckStatistics();
      if (HasFailure()) break;
    }
    CheckStatistics();
    for (Block &block : blocks) {
      if (block.pointer == nullptr) continue;
      if (!HasFailure()) Leave(block);
      hak_free(block.pointer);
    }
    if (!HasFailure()) ExpectTrimLeavesNothing();
  }

 private:
  std::vector<size_t> boundaries_;
  std::map<uintptr_t, uintptr_t> ends_by_start_;
  LiveModel model_;
  uint64_t last_key_ = 0;
};

TEST_P(RandomModel, BlocksKeepApartAndKeepTheirContents) {
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + 2; ++seed) {
    Run(seed);
    if (HasFailure()) break;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Workloads, RandomModel,
    ::testing::Values(Workload{"tiny_few", Sizes::kTiny, 16, 30000}, Workload{"tiny_many", Sizes::kTiny, 10000, 80000},
                      Workload{"small", Sizes::kSmall, 2048, 60000}, Workload{"medium", Sizes::kMedium, 1000, 40000},
                      Workload{"boundaries", Sizes::kBoundaries, 300, 25000},
                      Workload{"mixed", Sizes::kMixed, 500, 20000}, Workload{"large", Sizes::kLarge, 24, 2000}),
    [](const auto &info) { return std::string(info.param.name); });

}  // namespace
}  // namespace hak_test
