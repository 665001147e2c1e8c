// SPDX-License-Identifier: Apache-2.0
//
// A heap that lies in one way, and the program by which the executor has to notice it. For tests.

#ifndef FUZZ_EXECUTE_LIE_FOR_TEST_H_
#define FUZZ_EXECUTE_LIE_FOR_TEST_H_

#include <errno.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <functional>
#include <string>

#include "fuzz/execute/execute.h"
#include "fuzz/execute/input_for_test.h"
#include "fuzz/execute/misuse.h"
#include "fuzz/model/oracle.h"

// What lies, and the heap behind it.
inline heap lying;
inline const heap *honest;
inline int calls;

inline unsigned Selector(size_t size) { return op_selector_of(size); }

// Without quarantine, so that both variants hand out the same blocks.
inline Input Program(const std::function<void(Input *)> &operations) {
  Input input(OP_HEADER_BYTES);
  operations(&input);
  return input;
}

inline Input MallocAndFree(size_t size = 100) {
  return Program([=](Input *input) {
    Add(input, OP_MALLOC, 0, 0, Selector(size));
    Add(input, OP_MALLOC, 0, 1, Selector(size));
    Add(input, OP_FREE, 0, 0, 0);
  });
}

inline void Execute(const heap *first, const heap *second, const Input &input) {
  static execution execution;
  execution.misuse = second == nullptr ? misuse_operation : nullptr;
  execution.before = second == nullptr ? misuse_expect_none : nullptr;
  if (second == nullptr) misuse_begin(first);
  execute_input(&execution, first, second, input.data(), input.size());
  if (second == nullptr) misuse_end(&execution);
}

// Where the model would speak first, only the oracle that is meant is on.
inline void ExecuteWith(const char *oracle, const heap *first, const heap *second, const Input &input) {
  setenv("FUZZ_ORACLES", oracle, 1);
  oracle_initialize();
  Execute(first, second, input);
  exit(0);
}

struct Lie {
  const char *name;
  const char *oracle;
  const char *says;
  Input input;
  void (*tell)();
};

inline void PrintTo(const Lie &lie, std::ostream *stream) { *stream << lie.name; }

class ALie : public testing::TestWithParam<Lie> {
 protected:
  // The one that lies is the second, where there are two.
  static void ExpectFound(const heap *first, const heap *second) {
    const Lie &lie = GetParam();
    Execute(first, second, lie.input);
    EXPECT_EXIT(second == nullptr ? ExecuteWith(lie.oracle, Of(first, lie), nullptr, lie.input)
                                  : ExecuteWith(lie.oracle, first, Of(second, lie), lie.input),
                testing::KilledBySignal(SIGABRT), std::string("oracle ") + lie.oracle + ": " + lie.says);
  }

 private:
  // Made in the child that tells it.
  static const heap *Of(const heap *heap, const Lie &lie) {
    honest = heap;
    lying = *heap;
    calls = 0;
    lie.tell();
    return &lying;
  }
};

inline std::string NameOf(const testing::TestParamInfo<Lie> &lie) { return lie.param.name; }

#endif  // FUZZ_EXECUTE_LIE_FOR_TEST_H_
