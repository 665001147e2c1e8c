// SPDX-License-Identifier: Apache-2.0
//
// For the tests of fuzz/op: inputs as vectors of bytes.

#ifndef FUZZ_OP_TEST_SUPPORT_H_
#define FUZZ_OP_TEST_SUPPORT_H_

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "fuzz/op/op.h"
#include "fuzz/op/program.h"

using Bytes = std::vector<uint8_t>;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FUZZ_OP_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define FUZZ_OP_SANITIZER 1
#endif
#endif
#ifndef FUZZ_OP_SANITIZER
#define FUZZ_OP_SANITIZER 0
#endif

inline struct op MakeOp(unsigned kind, unsigned flags, unsigned slot, unsigned selector, int delta) {
  struct op op;
  op.kind = static_cast<uint8_t>(kind);
  op.flags = static_cast<uint8_t>(flags);
  op.slot = static_cast<uint8_t>(slot);
  op.selector = static_cast<uint8_t>(selector);
  op.delta = static_cast<int8_t>(delta);
  return op;
}

// A header of zeroes and the operations.
inline Bytes MakeInput(const std::vector<struct op> &ops) {
  Bytes bytes(OP_HEADER_BYTES + ops.size() * OP_BYTES);
  for (size_t i = 0; i < ops.size(); i++) op_write(&ops[i], &bytes[OP_HEADER_BYTES + i * OP_BYTES]);
  return bytes;
}

inline Bytes RandomBytes(struct random *random, size_t size) {
  Bytes bytes(size);
  for (uint8_t &byte : bytes) byte = static_cast<uint8_t>(random_next(random));
  return bytes;
}

#endif  // FUZZ_OP_TEST_SUPPORT_H_
