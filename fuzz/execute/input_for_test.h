// SPDX-License-Identifier: Apache-2.0
//
// Inputs, operation by operation. For tests.

#ifndef FUZZ_EXECUTE_INPUT_FOR_TEST_H_
#define FUZZ_EXECUTE_INPUT_FOR_TEST_H_

#include <vector>

#include "fuzz/op/op.h"

using Input = std::vector<uint8_t>;

inline void Add(Input *input, op_kind kind, unsigned flags, unsigned slot, unsigned selector, int delta = 0) {
  op operation = {};
  operation.kind = static_cast<uint8_t>(kind);
  operation.flags = static_cast<uint8_t>(flags);
  operation.slot = static_cast<uint8_t>(slot);
  operation.selector = static_cast<uint8_t>(selector);
  operation.delta = static_cast<int8_t>(delta);
  input->resize(input->size() + OP_BYTES);
  op_write(&operation, input->data() + input->size() - OP_BYTES);
}

#endif  // FUZZ_EXECUTE_INPUT_FOR_TEST_H_
