// SPDX-License-Identifier: Apache-2.0
//
// Which oracles FUZZ_ORACLES switches on, and what a failed one says: oracle.

#include "fuzz/model/oracle.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <string>
#include <vector>

namespace {

const std::vector<std::string> kNames = {
#define ORACLE(name, meaning) #name,
    ORACLES(ORACLE)
#undef ORACLE
};

// Writes the names of those that are on, and ends.
[[noreturn]] void Print(const char *oracles) {
  if (oracles == nullptr) {
    unsetenv("FUZZ_ORACLES");
  } else {
    setenv("FUZZ_ORACLES", oracles, 1);
  }
  oracle_initialize();
  for (int i = 0; i < ORACLE_COUNT; ++i) {
    if (oracle_is_on(static_cast<enum oracle>(i))) fprintf(stderr, "%s,", kNames[i].c_str());
  }
  exit(0);
}

std::string AllBut(const std::vector<std::string> &left_out) {
  std::string names;
  for (const std::string &name : kNames) {
    bool is_in = true;
    for (const std::string &out : left_out) is_in = is_in && out != name;
    if (is_in) names += name + ",";
  }
  return names;
}

void ExpectOn(const char *oracles, const std::string &names) {
  SCOPED_TRACE(oracles == nullptr ? "without FUZZ_ORACLES" : oracles);
  EXPECT_EXIT(Print(oracles), ::testing::ExitedWithCode(0), "^" + names + "$");
}

TEST(OracleTest, AllAreOnUnlessToldOtherwise) {
  ASSERT_GT(kNames.size(), 15u);
  ExpectOn(nullptr, AllBut({}));
  ExpectOn("", AllBut({}));
  ExpectOn("all", AllBut({}));
}

TEST(OracleTest, SomeAlone) {
  ExpectOn("content", "content,");
  ExpectOn("zero,error", "zero,error,");
  ExpectOn("unchanged,overlap,", "overlap,unchanged,");
  for (const std::string &name : kNames) ExpectOn(name.c_str(), name + ",");
}

TEST(OracleTest, AllButSome) {
  ExpectOn("-trace", AllBut({"trace"}));
  ExpectOn("-content,-differential", AllBut({"content", "differential"}));
  for (const std::string &name : kNames) ExpectOn(("-" + name).c_str(), AllBut({name}));
}

TEST(OracleTest, None) {
  ExpectOn("none", "");
  ExpectOn("none,zero", "zero,");
}

// The names of all are told.
TEST(OracleTest, ThereIsNoSuchOracle) {
  for (const char *oracles : {"nonsense", "content,nonsense", "-nonsense", "conten", "contents", "-", "Zero"}) {
    SCOPED_TRACE(oracles);
    EXPECT_EXIT(Print(oracles), ::testing::ExitedWithCode(2),
                "there is no oracle \".*\"; there are: overlap .*unchanged");
  }
  EXPECT_EXIT(Print("zero,nonsense"), ::testing::ExitedWithCode(2), "\"nonsense\"");
  EXPECT_EXIT(Print("-nonsense"), ::testing::ExitedWithCode(2), "\"nonsense\"");
}

TEST(OracleTest, AFailedOneSaysWhatAndWhere) {
  oracle_note_operation(42, "box_small", "malloc");
  EXPECT_EXIT(ORACLE_CHECK(content, false, "byte %d of %s", 3, "it"), ::testing::KilledBySignal(SIGABRT),
              "^fuzz: oracle content: byte 3 of it \\(operation 42, malloc, box_small\\)\n$");
  ORACLE_CHECK(content, true, "nothing is wrong");
}

TEST(OracleTest, OneThatIsOffSaysNothing) {
  const auto fail = [] {
    setenv("FUZZ_ORACLES", "zero", 1);
    oracle_initialize();
    ORACLE_CHECK(content, false, "wrong");
    oracle_failed(ORACLE_overlap, "wrong");
    ORACLE_CHECK(zero, true, "right");
    exit(7);
  };
  EXPECT_EXIT(fail(), ::testing::ExitedWithCode(7), "^$");
}

}  // namespace
