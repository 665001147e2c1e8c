// SPDX-License-Identifier: Apache-2.0
//
// For tests of oracles: what becomes of something that is wrong, with all oracles, with one alone, and with all but that one.

#ifndef FUZZ_MODEL_ORACLE_TEST_SUPPORT_H_
#define FUZZ_MODEL_ORACLE_TEST_SUPPORT_H_

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <functional>
#include <string>

#include "fuzz/model/oracle.h"

// Ends the process: with 0 where nothing was noticed.
[[noreturn]] inline void RunWithOracles(const std::string &oracles, const std::function<void()> &body) {
  setenv("FUZZ_ORACLES", oracles.c_str(), 1);
  oracle_initialize();
  body();
  exit(0);
}

// What body does is noticed by this oracle, and by no other.
inline void ExpectOracle(const std::string &name, const std::function<void()> &body) {
  const std::string line = "^fuzz: oracle " + name + ": .*\\(operation 7, call, heap\\)";
  oracle_note_operation(7, "heap", "call");
  EXPECT_EXIT(RunWithOracles("all", body), ::testing::KilledBySignal(SIGABRT), line);
  EXPECT_EXIT(RunWithOracles(name, body), ::testing::KilledBySignal(SIGABRT), line);
  EXPECT_EXIT(RunWithOracles("-" + name, body), ::testing::ExitedWithCode(0), "^$");
}

inline void ExpectNoOracle(const std::function<void()> &body) {
  EXPECT_EXIT(RunWithOracles("all", body), ::testing::ExitedWithCode(0), "^$");
}

#endif  // FUZZ_MODEL_ORACLE_TEST_SUPPORT_H_
