// SPDX-License-Identifier: Apache-2.0
//
// Tests of internals. Most of them keep state for the whole process, so each test runs in a process of its own: a forked
// child, in which the allocator is as it was when the program started. What fails there is printed there, and fails here.

#ifndef HAKMEM_TESTS_UNIT_FRESH_PROCESS_H_
#define HAKMEM_TESTS_UNIT_FRESH_PROCESS_H_

#include <gtest/gtest.h>
#include <stdio.h>

#include "tests/unit/child_process.h"

namespace hak_test {

inline void RunFresh(void (*body)()) {
  fflush(stdout);
  fflush(stderr);
  const int status = RunInChild([body] {
    body();
    fflush(stdout);
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
  EXPECT_EQ(0, status) << "the test's process ended with " << DescribeStatus(status);
}

}  // namespace hak_test

// TEST, in a process of its own.
#define FRESH_TEST(suite, name)                                                      \
  static void suite##_##name();                                                      \
  TEST(suite, name) { ASSERT_NO_FATAL_FAILURE(hak_test::RunFresh(suite##_##name)); } \
  static void suite##_##name()

#endif  // HAKMEM_TESTS_UNIT_FRESH_PROCESS_H_
