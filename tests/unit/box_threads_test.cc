// SPDX-License-Identifier: Apache-2.0
//
// What the Box looks at while other threads have slabs come and go: pointers that are no block's, and what is live when the
// process ends. Under a limit, where as little address space is kept as can be.

#include <gtest/gtest.h>
#include <string.h>

#include <atomic>
#include <thread>
#include <vector>

#include "allocator/api/check_heap.h"
#include "allocator/base/config.h"
#include "allocator/os/os_memory_fake.h"
#include "hakmem/hakmem.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"

namespace {

// Slabs of several classes and large blocks, each in turn where another one was.
class Churn {
 public:
  explicit Churn(int threads) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this, i] { Run(hak_test::Random(static_cast<uint64_t>(i) + 1)); });
    }
    while (rounds_.load() < 10) std::this_thread::yield();
  }
  ~Churn() {
    stop_.store(true);
    for (std::thread &thread : threads_) thread.join();
  }
  // Where a block is, or was a short time ago.
  char *Block(size_t number) const { return blocks_[number % kBlocks].load(); }
  size_t Rounds() const { return rounds_.load(); }

 private:
  static constexpr size_t kBlocks = 1024;

  void Run(hak_test::Random random) {
    std::vector<void *> own;
    for (; !stop_.load(); rounds_.fetch_add(1)) {
      const size_t kind = random.Below(3);
      const size_t size = kind == 0 ? 1 + random.Below(2000) : kind == 1 ? 30000 : 100000 + random.Below(300000);
      own.resize(kind == 0 ? 2000 : kind == 1 ? 60 : 10);
      for (void *&block : own) {
        block = hak_malloc(size);
        blocks_[next_.fetch_add(1) % kBlocks].store(static_cast<char *>(block));
      }
      for (void *block : own) hak_free(block);
      hak_trim(0);
    }
  }

  std::atomic<bool> stop_{false};
  std::atomic<size_t> rounds_{0}, next_{0};
  std::atomic<char *> blocks_[kBlocks] = {};
  std::vector<std::thread> threads_;
};

std::atomic<size_t> reports;

FRESH_TEST(BoxThreadsTest, PointersThatAreNoBlocksAreReportedWhileSlabsComeAndGo) {
  if (HAK_CHECKS_LEVEL != HAK_CHECKS_BOX) return;
  os_fake_set_limit(size_t{1} << 30);
  hak_set_misuse_handler([](const struct hak_misuse *) { reports.fetch_add(1); });
  size_t calls = 0;
  {
    const Churn churn(2);
    while (churn.Rounds() < hak_test::Scaled(600)) {
      for (int i = 0; i < 100; ++i) {
        char *const block = churn.Block(calls);
        if (block == nullptr) continue;
        ++calls;
        ASSERT_EQ(0u, hak_usable_size(block + (calls % 2 == 0 ? 8 : HAK_SLAB_BYTES + 8)));
      }
    }
  }
  EXPECT_EQ(calls, reports.load());
  EXPECT_EQ(0, hak_check_heap(nullptr));
}

FRESH_TEST(BoxThreadsTest, LeaksAreCountedWhileSlabsComeAndGo) {
  os_fake_set_limit(size_t{1} << 30);
  ::testing::internal::CaptureStderr();
  {
    const Churn churn(2);
    while (churn.Rounds() < hak_test::Scaled(400)) check_heap_print_leaks();
  }
  (void)::testing::internal::GetCapturedStderr();
  EXPECT_EQ(0, hak_check_heap(nullptr));
}

}  // namespace
