// SPDX-License-Identifier: Apache-2.0
//
// The shared library for AFL++, loaded and called as afl-fuzz does. The test is built as configured, with a sanitizer for
// instance; the library never is.

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "fuzz/op/test_support.h"
#include "gtest/gtest.h"

namespace {

struct Library {
  void *handle;
  void *(*init)(void *, unsigned);
  void (*deinit)(void *);
  size_t (*fuzz)(void *, uint8_t *, size_t, uint8_t **, uint8_t *, size_t, size_t);
  size_t (*havoc_mutation)(void *, uint8_t *, size_t, uint8_t **, size_t);
  uint8_t (*havoc_mutation_probability)(void *);
  const char *(*describe)(void *, size_t);
  int (*init_trim)(void *, uint8_t *, size_t);
  size_t (*trim)(void *, uint8_t **);
  int (*post_trim)(void *, unsigned char);

  template <typename Function>
  void Find(const char *name, Function *function) {
    *function = reinterpret_cast<Function>(dlsym(handle, name));
    ASSERT_NE(*function, nullptr) << name;
  }
};

class MutatorAfl : public ::testing::Test {
 protected:
  void SetUp() override {
    // As afl-fuzz does it.
    library_.handle = dlopen(HAK_MUTATOR, RTLD_NOW);
    ASSERT_NE(library_.handle, nullptr) << dlerror();
    library_.Find("afl_custom_init", &library_.init);
    library_.Find("afl_custom_deinit", &library_.deinit);
    library_.Find("afl_custom_fuzz", &library_.fuzz);
    library_.Find("afl_custom_havoc_mutation", &library_.havoc_mutation);
    library_.Find("afl_custom_havoc_mutation_probability", &library_.havoc_mutation_probability);
    library_.Find("afl_custom_describe", &library_.describe);
    library_.Find("afl_custom_init_trim", &library_.init_trim);
    library_.Find("afl_custom_trim", &library_.trim);
    library_.Find("afl_custom_post_trim", &library_.post_trim);
    data_ = library_.init(nullptr, 7);
    ASSERT_NE(data_, nullptr);
  }

  void TearDown() override {
    if (data_ != nullptr) library_.deinit(data_);
    if (library_.handle != nullptr) dlclose(library_.handle);
  }

  // afl-fuzz's trimming; keep tells whether an input is as good as the first. Returns how often it was asked.
  template <typename Keep>
  int Trim(Bytes *input, Keep keep) {
    int asked = 0, step = 0, steps = library_.init_trim(data_, input->data(), input->size());
    const size_t first_size = input->size();
    while (step < steps) {
      uint8_t *output = nullptr;
      size_t size = library_.trim(data_, &output);
      EXPECT_NE(output, nullptr);
      EXPECT_LE(size, first_size);
      EXPECT_EQ((size - OP_HEADER_BYTES) % OP_BYTES, 0u);
      Bytes smaller(output, output + size);
      bool good = keep(smaller);
      if (good) *input = smaller;
      int next = library_.post_trim(data_, good);
      EXPECT_GT(next, step);
      step = next;
      asked++;
    }
    return asked;
  }

  Library library_ = {};
  void *data_ = nullptr;
};

TEST_F(MutatorAfl, FuzzesByWholeOperations) {
  Bytes input = MakeInput({MakeOp(OP_MALLOC, 0, 1, 2, 0), MakeOp(OP_FREE, 0, 1, 0, 0)});
  Bytes other = MakeInput({MakeOp(OP_CALLOC, 0, 9, 2, 0)});
  const Bytes before = input, other_before = other;
  int changed = 0;
  for (int i = 0; i < 20000; i++) {
    uint8_t *output = nullptr;
    size_t max_size = i % 3 == 0 ? 40 : 1 << 20;  // MAX_FILE of AFL++
    size_t size = library_.fuzz(data_, input.data(), input.size(), &output, i % 2 ? other.data() : nullptr,
                                i % 2 ? other.size() : 0, max_size);
    ASSERT_NE(output, nullptr);
    ASSERT_GE(size, static_cast<size_t>(OP_HEADER_BYTES));
    ASSERT_LE(size, std::min<size_t>(max_size, OP_INPUT_MAX));
    ASSERT_EQ((size - OP_HEADER_BYTES) % OP_BYTES, 0u);
    changed += Bytes(output, output + size) != before;
  }
  EXPECT_GT(changed, 18000);
  EXPECT_EQ(input, before);
  EXPECT_EQ(other, other_before);
}

TEST_F(MutatorAfl, HavocAndOddInputs) {
  struct random random;
  random_begin(&random, 5);
  for (int i = 0; i < 2000; i++) {
    Bytes input = RandomBytes(&random, 1 + random_below(&random, i % 100 == 0 ? 20000 : 50));
    size_t max_size = i % 2 ? 1 << 20 : input.size();
    uint8_t *output = nullptr;
    size_t size = library_.havoc_mutation(data_, input.data(), input.size(), &output, max_size);
    ASSERT_NE(output, nullptr);
    ASSERT_LE(size, max_size);
    ASSERT_GT(size, 0u);
    size = library_.fuzz(data_, input.data(), input.size(), &output, nullptr, 0, max_size);
    ASSERT_LE(size, max_size);
  }
  EXPECT_GT(library_.havoc_mutation_probability(data_), 0);
  EXPECT_LE(library_.havoc_mutation_probability(data_), 100);
  EXPECT_STREQ(library_.describe(data_, 100), "op:operations");
}

TEST_F(MutatorAfl, IsTheSameFromTheSameSeed) {
  void *twin = library_.init(nullptr, 7);
  Bytes input = MakeInput({MakeOp(OP_MALLOC, 0, 1, 2, 0)});
  for (int i = 0; i < 100; i++) {
    uint8_t *output = nullptr, *twin_output = nullptr;
    size_t size = library_.fuzz(data_, input.data(), input.size(), &output, nullptr, 0, 4096);
    size_t twin_size = library_.fuzz(twin, input.data(), input.size(), &twin_output, nullptr, 0, 4096);
    ASSERT_EQ(Bytes(output, output + size), Bytes(twin_output, twin_output + twin_size));
  }
  library_.deinit(twin);
}

TEST_F(MutatorAfl, TrimsToWhatMatters) {
  struct random random;
  random_begin(&random, 6);
  Bytes input = RandomBytes(&random, OP_HEADER_BYTES + 100 * OP_BYTES + 3);
  struct op needed = MakeOp(OP_CHECK_HEAP, 5, 111, 112, 113);
  op_write(&needed, &input[OP_HEADER_BYTES + 37 * OP_BYTES]);
  int asked = Trim(&input, [&](const Bytes &bytes) {
    for (size_t i = 0; i < op_count(bytes.size()); i++) {
      if (op_read(bytes.data(), i).slot == 111 && op_read(bytes.data(), i).selector == 112) return true;
    }
    return false;
  });
  EXPECT_EQ(input.size(), static_cast<size_t>(OP_HEADER_BYTES + OP_BYTES));
  EXPECT_EQ(op_read(input.data(), 0).kind, OP_CHECK_HEAP);
  EXPECT_LT(asked, 300);
}

TEST_F(MutatorAfl, TrimsNothingThatIsNeededAndEverythingElse) {
  for (size_t size = 0; size < 60; size++) {
    Bytes input(size, 1);
    const Bytes before = input;
    Trim(&input, [](const Bytes &) { return false; });
    EXPECT_EQ(input, before);
    Trim(&input, [](const Bytes &) { return true; });
    EXPECT_EQ(input.size(), std::min<size_t>(size, OP_HEADER_BYTES));
  }
  Bytes longest(OP_INPUT_MAX + 1000, 1);
  EXPECT_LE(Trim(&longest, [](const Bytes &) { return false; }), 1024);
}

// afl-fuzz loads it: what needs a sanitizer or AFL++'s own runtime would not load there, or would be counted as coverage.
TEST_F(MutatorAfl, IsNotInstrumented) {
  std::ifstream file(HAK_MUTATOR, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  ASSERT_GT(bytes.size(), 1000u);
  ASSERT_NE(bytes.find("afl_custom_fuzz"), std::string::npos);
  for (const char *runtime : {"__asan_", "__msan_", "__tsan_", "__ubsan_", "__sanitizer_", "__afl_", "__llvm_prof"}) {
    EXPECT_EQ(bytes.find(runtime), std::string::npos) << runtime;
  }
}

}  // namespace
