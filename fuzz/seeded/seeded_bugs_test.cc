// SPDX-License-Identifier: Apache-2.0
//
// Two variants of the allocator in one program, with all seeded bugs: none is on by itself, the one that is chosen is on in
// both, and its counters tell that it was met.

#include "fuzz/seeded/seeded_bugs.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

extern "C" {
void *hak_direct_malloc(size_t size);
void *hak_direct_realloc(void *pointer, size_t size);
void *hak_direct_calloc(size_t count, size_t size);
void hak_direct_free(void *pointer);
void *hak_box_malloc(size_t size);
void *hak_box_realloc(void *pointer, size_t size);
void *hak_box_calloc(size_t count, size_t size);
void hak_box_free(void *pointer);
}

namespace {

// Each bug in a process of its own: what is on stays on.
void expect_exit(void (*body)()) {
  EXPECT_EXIT(
      {
        body();
        exit(testing::Test::HasFailure() ? 1 : 0);
      },
      testing::ExitedWithCode(0), "");
}

void choose(const char *bug) {
  setenv(SEEDED_BUG_VARIABLE, bug, 1);
  EXPECT_NE(seeded_bug_choose(), nullptr);
}

bool same_block_again(void *(*allocate)(size_t), void *(*resize)(void *, size_t)) {
  void *first = allocate(5000);
  EXPECT_EQ(resize(first, 0), nullptr);
  void *second = allocate(5000);
  return second == first;
}

TEST(SeededBugs, NoneIsOnByItself) {
  expect_exit([] {
    unsetenv(SEEDED_BUG_VARIABLE);
    EXPECT_EQ(seeded_bug_choose(), nullptr);
    EXPECT_TRUE(same_block_again(hak_direct_malloc, hak_direct_realloc));
    EXPECT_EQ(hak_box_calloc(~size_t(0), 2), nullptr);
    EXPECT_EQ(seeded_bug_reached(), 0u);
    EXPECT_EQ(seeded_bug_triggered(), 0u);
  });
}

TEST(SeededBugs, OneIsOnInBothVariants) {
  expect_exit([] {
    choose("realloc_to_zero_leaks");
    EXPECT_FALSE(same_block_again(hak_direct_malloc, hak_direct_realloc));
    EXPECT_EQ(seeded_bug_reached(), 1u);
    EXPECT_FALSE(same_block_again(hak_box_malloc, hak_box_realloc));
    EXPECT_EQ(seeded_bug_reached(), 2u);
    EXPECT_EQ(seeded_bug_triggered(), 2u);
  });
}

TEST(SeededBugs, ReachedIsNotTriggered) {
  expect_exit([] {
    choose("calloc_zeroes_words");
    hak_box_free(hak_box_calloc(1, 64));
    EXPECT_EQ(seeded_bug_reached(), 1u);
    EXPECT_EQ(seeded_bug_triggered(), 0u);
    hak_box_free(hak_box_calloc(1, 65));
    EXPECT_EQ(seeded_bug_reached(), 2u);
    EXPECT_EQ(seeded_bug_triggered(), 1u);
  });
}

TEST(SeededBugs, AreFoundByNumberAndName) {
  const seeded_bug *bug = seeded_bug_find("calloc_zeroes_words");
  ASSERT_NE(bug, nullptr);
  EXPECT_STREQ(bug->file, "api/malloc_api.c");
  EXPECT_EQ(seeded_bug_find(std::to_string(bug->number).c_str()), bug);
  for (const char *unknown : {"", "0", "100000", "1x", "-1", "calloc"})
    EXPECT_EQ(seeded_bug_find(unknown), nullptr) << unknown;
}

TEST(SeededBugs, AnUnknownNameEndsTheProgram) {
  EXPECT_EXIT(
      {
        setenv(SEEDED_BUG_VARIABLE, "misspelt", 1);
        seeded_bug_choose();
      },
      testing::ExitedWithCode(2), "misspelt: no such seeded bug");
}

// Also after a process that ended by a signal.
TEST(SeededBugs, AreCountedInAFile) {
  std::string path = testing::TempDir() + "counts_XXXXXX";
  int file = mkstemp(&path[0]);
  ASSERT_GE(file, 0);
  ASSERT_EQ(ftruncate(file, 1 << 16), 0);
  setenv(SEEDED_BUG_COUNTS_VARIABLE, path.c_str(), 1);
  for (int process = 0; process < 2; process++) {
    EXPECT_EXIT(
        {
          choose("calloc_zeroes_words");
          hak_box_free(hak_box_calloc(1, 64));
          hak_box_free(hak_box_calloc(1, 65));
          abort();
        },
        testing::KilledBySignal(SIGABRT), "");
  }
  // struct hak_seeded_bug, as fuzz/seeded/trial.py reads it too.
  struct {
    uint32_t number;
    uint64_t reached, triggered;
  } counted = {};
  EXPECT_EQ(pread(file, &counted, sizeof counted, 0), ssize_t(sizeof counted));
  EXPECT_EQ(counted.number, seeded_bug_find("calloc_zeroes_words")->number);
  EXPECT_EQ(counted.reached, 4u);
  EXPECT_EQ(counted.triggered, 2u);
  close(file);
  unlink(path.c_str());
  unsetenv(SEEDED_BUG_COUNTS_VARIABLE);
}

TEST(SeededBugs, AFileThatIsTooShortEndsTheProgram) {
  EXPECT_EXIT(
      {
        setenv(SEEDED_BUG_COUNTS_VARIABLE, "/dev/null", 1);
        choose("calloc_zeroes_words");
      },
      testing::ExitedWithCode(2), "FUZZ_SEEDED_COUNTS=/dev/null: not a file");
}

TEST(SeededBugs, ThePrintedLine) {
  EXPECT_EXIT(
      {
        choose("realloc_to_zero_leaks");
        same_block_again(hak_direct_malloc, hak_direct_realloc);
        seeded_bug_print(STDERR_FILENO);
        _exit(0);
      },
      testing::ExitedWithCode(0), "seeded bug [0-9]+ realloc_to_zero_leaks: reached 1 triggered 1");
}

}  // namespace
