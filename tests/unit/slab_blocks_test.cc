// SPDX-License-Identifier: Apache-2.0
//
// The blocks of one run against a model, for every size class: shared_pool/slab_blocks.

#include "allocator/shared_pool/slab_blocks.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "allocator/base/size_class.h"
#include "allocator/page_arena/page_arena.h"
#include "allocator/shared_pool/record_table.h"
#include "tests/unit/page_arena_support.h"
#include "tests/unit/test_support.h"

namespace {

using hak_test::FillPattern;
using hak_test::FirstWrongByte;
using hak_test::kNone;
using hak_test::Random;
using hak_test::Scaled;

constexpr bool kIsBox = HAK_CHECKS_LEVEL == HAK_CHECKS_BOX;
constexpr uint8_t kUntouched = 0xEE;

// A run at an address of the test's choice, without memory.
struct slab RunAt(unsigned size_class, uintptr_t address) {
  struct slab run = {};
  run.address = address;
  run.size_class = static_cast<uint8_t>(size_class);
  run.run_slabs = size_classes[size_class].run_slabs;
  EXPECT_TRUE(slab_blocks_begin(&run));
  return run;
}

// What the Box has taken for a run that is not needed any more.
void GiveRecords(const struct slab &run) {
  if (kIsBox) record_table_give(run.records, run.record_pages);
}

// The first block of a run moves on from run to run, as far as the room at its end allows.
TEST(SlabBlocksTest, FirstOffsetStaysInsideOfTheRunAndUsesAllPlaces) {
  for (unsigned i = 1; i < HAK_CLASS_COUNT; ++i) {
    SCOPED_TRACE("class " + std::to_string(i));
    const struct size_class &c = size_classes[i];
    const size_t run_bytes = static_cast<size_t>(c.run_slabs) << HAK_SLAB_SHIFT;
    const size_t step = c.alignment > HAK_CACHE_LINE ? c.alignment : HAK_CACHE_LINE;
    std::set<uint32_t> possible, seen;
    for (uint32_t offset = c.first_offset;
         offset + static_cast<size_t>(c.blocks) * c.stride - HAK_HEADER_BYTES <= run_bytes; offset += step) {
      possible.insert(offset);
    }
    // A superslab has 32 run positions, and superslabs lie anywhere.
    for (uintptr_t slab_number = 0; slab_number < 32 * 64; ++slab_number) {
      const struct slab run = RunAt(i, (uintptr_t{0x7E1A0} << 24) + (slab_number << HAK_SLAB_SHIFT));
      ASSERT_EQ(0u, run.first_offset % c.alignment);
      ASSERT_GE(run.first_offset, static_cast<uint32_t>(HAK_HEADER_BYTES));
      ASSERT_LE(run.first_offset + static_cast<size_t>(c.blocks) * c.stride - HAK_HEADER_BYTES, run_bytes)
          << "the last block of the run at slab " << slab_number << " reaches into the next run";
      seen.insert(run.first_offset);
      GiveRecords(run);
    }
    EXPECT_EQ(possible, seen);
  }
}

TEST(SlabBlocksTest, BeginForgetsWhatWasThere) {
  struct slab run = RunAt(5, uintptr_t{1} << 40);
  run.next = run.previous = &run;
  run.free_list = reinterpret_cast<struct block *>(&run);
  run.free_count = run.carved = run.used = 7;
  GiveRecords(run);
  ASSERT_TRUE(slab_blocks_begin(&run));
  EXPECT_EQ(nullptr, run.next);
  EXPECT_EQ(nullptr, run.previous);
  EXPECT_EQ(nullptr, run.free_list);
  EXPECT_EQ(0u, run.free_count);
  EXPECT_EQ(0u, run.carved);
  EXPECT_EQ(0u, run.used);
  EXPECT_EQ(size_classes[5].blocks, slab_blocks_available(&run));
}

// Also where the records were those of an earlier run.
TEST(SlabBlocksTest, RecordsOfABeginningRunAreEmpty) {
  if (!kIsBox) return;  // there are none
  for (int i = 0; i < 3; ++i) {
    const struct slab run = RunAt(5, uintptr_t{1} << 40);
    const size_t bytes = size_classes[5].blocks * sizeof *run.records;
    ASSERT_EQ(kNone, hak_test::FirstNonZero(run.records, bytes));
    memset(run.records, 0x77, bytes);
    GiveRecords(run);
  }
}

// One run with memory, all that the allocator does to it, and what it should look like. It is the page arena's, because the
// Box finds the records of blocks by the registry, and has one slab more than the class needs, which stays untouched.
class Model {
 public:
  Model(unsigned size_class, uint64_t seed)
      : class_(size_classes[size_class]),
        header_(block_header_listed(size_class)),
        bytes_(static_cast<size_t>(class_.run_slabs) << HAK_SLAB_SHIFT),
        run_(TakeRun(size_class)),
        memory_(reinterpret_cast<uint8_t *>(run_.address)),
        random_(seed) {
    memset(memory_, kUntouched, bytes_ + HAK_SLAB_BYTES);
    run_.run_slabs = size_classes[size_class].run_slabs;
    EXPECT_TRUE(slab_blocks_begin(&run_));
  }
  ~Model() {
    GiveRecords(run_);
    run_.run_slabs++;
    page_arena_give_run(&run_);
  }

  void Step() {
    const uint32_t wanted =
        static_cast<uint32_t>(random_.OneIn(10) ? random_.Below(2 * class_.blocks) : random_.Below(9));
    switch (random_.Below(4)) {
      case 0:
        Carve(wanted);
        break;
      case 1:
        TakeListed(wanted);
        break;
      default:
        for (uint32_t i = 0; i < wanted && !live_.empty(); ++i) Put();
    }
    ASSERT_EQ(live_.size(), run_.used);
    ASSERT_EQ(listed_.size(), run_.free_count);
    ASSERT_EQ(live_.size() + listed_.size(), run_.carved);
    ASSERT_EQ(class_.blocks - live_.size(), slab_blocks_available(&run_));
    ASSERT_EQ(listed_.empty() ? nullptr : listed_.back(), listed_.empty() ? nullptr : run_.free_list);
  }

  // The run's memory, byte by byte.
  void Check() const {
    uint8_t *const start = memory_;
    for (size_t i = 0; i + HAK_HEADER_BYTES < run_.first_offset; ++i) ASSERT_EQ(kUntouched, start[i]) << "offset " << i;
    const size_t carved_end = run_.first_offset + static_cast<size_t>(run_.carved) * class_.stride - HAK_HEADER_BYTES;
    // The Box has a guard there.
    const size_t guard = kIsBox && run_.carved > 0 ? HAK_HEADER_BYTES : 0;
    if (guard > 0) ASSERT_EQ(block_header_free(run_.size_class), start[carved_end]);
    for (size_t i = carved_end + guard; i < bytes_ + HAK_SLAB_BYTES; ++i) {
      ASSERT_EQ(kUntouched, start[i]) << "memory behind the carved blocks is touched before it is needed, at offset "
                                      << i;
    }
    for (uint32_t i = 0; i < run_.carved; ++i) ASSERT_EQ(header_, *block_header(Block(i))) << "block " << i;
  }

  void PutEverything() {
    while (!live_.empty()) Put();
    EXPECT_EQ(0u, run_.used);
    EXPECT_EQ(class_.blocks, slab_blocks_available(&run_));
  }

 private:
  static struct slab &TakeRun(unsigned size_class) {
    bool zeroed;
    EXPECT_TRUE(page_arena_initialize());
    struct slab *const run = hak_test::TakeRun(size_classes[size_class].run_slabs + 1u, size_class, &zeroed);
    if (run == nullptr) abort();
    return *run;
  }

  struct block *Block(uint32_t number) const {
    return block_of_user(memory_ + run_.first_offset + static_cast<size_t>(number) * class_.stride);
  }

  // The chain is a prefix of expected, then other; it becomes live.
  void Receive(const struct chain &chain, const std::vector<struct block *> &expected) {
    ASSERT_EQ(expected.size(), chain.count);
    struct block *block = chain.head;
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(expected[i], block) << "block " << i << " of the chain";
      ASSERT_EQ(block_next(block), block_link_get(block));
      block = block_next(block);
    }
    ASSERT_EQ(nullptr, block) << "the chain goes on behind its last block";
    for (struct block *received : expected) {
      ASSERT_EQ(header_, *block_header(received));
      const uint64_t key = ++key_;
      FillPattern(user_of_block(received), class_.stride - HAK_HEADER_BYTES, key);
      ASSERT_TRUE(live_.emplace(received, key).second) << "handed out twice";
    }
  }

  void Carve(uint32_t wanted) {
    uint32_t first = ~0u;
    const uint32_t left = class_.blocks - run_.carved;
    const uint32_t carved = run_.carved;
    const uint32_t count = slab_blocks_reserve(&run_, wanted, &first);
    ASSERT_EQ(wanted < left ? wanted : left, count);
    ASSERT_EQ(carved, first);
    if (count == 0) return;
    std::vector<struct block *> expected;
    for (uint32_t i = 0; i < count; ++i) expected.push_back(Block(first + i));
    struct chain chain = {nullptr, 0};
    // In front of what is in the chain already.
    if (!listed_.empty() && random_.OneIn(2)) {
      slab_blocks_take_listed(&run_, 1, &chain);
      expected.push_back(listed_.back());
      listed_.pop_back();
    }
    slab_blocks_carve(&run_, first, count, &chain);
    Receive(chain, expected);
  }

  void TakeListed(uint32_t wanted) {
    struct chain chain = {nullptr, 0};
    std::vector<struct block *> expected;
    // In two parts: the second comes in front of the first.
    for (const uint32_t part : {wanted / 3, wanted - wanted / 3}) {
      std::vector<struct block *> taken;
      for (uint32_t i = 0; i < part && !listed_.empty(); ++i) {
        taken.push_back(listed_.back());
        listed_.pop_back();
      }
      expected.insert(expected.begin(), taken.begin(), taken.end());
      slab_blocks_take_listed(&run_, part, &chain);
    }
    Receive(chain, expected);
  }

  void Put() {
    auto chosen = live_.begin();
    std::advance(chosen, random_.Below(live_.size() < 50 ? live_.size() : 50));
    struct block *const block = chosen->first;
    ASSERT_EQ(kNone, FirstWrongByte(user_of_block(block), class_.stride - HAK_HEADER_BYTES, chosen->second));
    live_.erase(chosen);
    // As it leaves a list.
    if (kIsBox) block_record_of(block)->link = nullptr;
    block_link_set(block, nullptr);
    slab_blocks_put(&run_, block);
    listed_.push_back(block);
  }

  const struct size_class &class_;
  const uint8_t header_;
  const size_t bytes_;
  struct slab &run_;
  uint8_t *const memory_;
  Random random_;
  std::vector<struct block *> listed_;  // the last one is the first to be taken
  std::map<struct block *, uint64_t> live_;
  uint64_t key_ = 0;
};

TEST(SlabBlocksTest, LikeTheModel) {
  const uint64_t seed = hak_test::FirstSeed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (unsigned size_class = 1; size_class < HAK_CLASS_COUNT; ++size_class) {
    SCOPED_TRACE("class " + std::to_string(size_class));
    Model model(size_class, seed + size_class);
    const size_t steps = Scaled(240);
    for (size_t step = 0; step < steps; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      ASSERT_NO_FATAL_FAILURE(model.Step());
      if (step % 60 == 20) ASSERT_NO_FATAL_FAILURE(model.Check());
    }
    ASSERT_NO_FATAL_FAILURE(model.PutEverything());
    ASSERT_NO_FATAL_FAILURE(model.Check());
  }
}

}  // namespace
