// SPDX-License-Identifier: Apache-2.0
//
// What the tests of misuse share: the messages, misuse in a forked child whose report is compared, and blocks side by side.
// The first line of a report says what was found. At checks level 2 (Box) indented lines about the block follow it; the other
// levels write exactly one line.

#ifndef HAKMEM_TESTS_UNIT_MISUSE_SUPPORT_H_
#define HAKMEM_TESTS_UNIT_MISUSE_SUPPORT_H_

#include <setjmp.h>
#include <sys/prctl.h>

#include <functional>
#include <utility>

#include "tests/unit/child_process.h"
#include "tests/unit/test_support.h"

namespace hak_test {

constexpr bool kIsBox = HAK_TEST_EXPECTED_CHECKS == 2;

constexpr char kInvalid[] = "not a pointer that hakmem returned";
constexpr char kInterior[] = "a pointer into a block, not to its start";
constexpr char kDoubleFree[] = "the block is free already (double free)";
constexpr char kUseAfterFree[] = "the block is free (use after free)";
constexpr char kOverwritten[] = "the byte before the block was overwritten (underflow, or overflow of its neighbour)";
constexpr char kOverflow[] = "the bytes behind the requested size were overwritten (overflow)";
constexpr char kNextOverwritten[] =
    "the byte behind the block was overwritten (overflow, or underflow of its neighbour)";
constexpr char kWriteAfterFree[] = "free memory was written to (use after free)";

// The smallest class, some with one slab per run and some with several, and the largest. Sanitizers make children slow.
#if HAK_TEST_SLOWDOWN > 1
constexpr size_t kSizes[] = {1, 5000};
#else
constexpr size_t kSizes[] = {1, 40, 500, 2000, 5000, 32768};
#endif

inline unsigned char *Allocate(size_t size) {
  unsigned char *const block = static_cast<unsigned char *>(hak_malloc(size));
  if (block == nullptr) ChildFails("no memory");
  memset(block, 0, hak_usable_size(block));
  return block;
}

// The usable bytes of the class that serves a size: at level 2 hak_usable_size tells the size that was asked for.
inline size_t Capacity(size_t size) {
  const hak_statistics s = Statistics();
  size_t capacity = SIZE_MAX;
  for (uint32_t i = 0; i < s.classes && i < HAK_STATISTICS_CLASSES; ++i) {
    const hak_class_statistics &c = s.by_class[i];
    if (c.alignment == 16 && c.block_size > size && c.block_size - 1 < capacity) capacity = c.block_size - 1;
  }
  return capacity;
}

// The pointer as the compiler does not know it.
template <typename Pointer>
void *Opaque(Pointer *pointer) {
  void *result = const_cast<void *>(static_cast<const volatile void *>(pointer));
  __asm__("" : "+r"(result));
  return result;
}

inline void *At(uintptr_t address) { return Opaque(reinterpret_cast<char *>(address)); }

// Runs body in a child that leaves no core file and whose standard error is this process's to read.
inline Outcome RunMisuse(const std::function<void()> &body) {
  Outcome outcome;
  int errors[2];
  if (pipe(errors) != 0) return outcome;
  fflush(stdout);
  fflush(stderr);
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_DUMPABLE, 0);
    dup2(errors[1], STDERR_FILENO);
    close(errors[0]);
    close(errors[1]);
    signal(SIGALRM, SIG_DFL);
    alarm(kChildSeconds);
    body();
    _exit(0);
  }
  close(errors[1]);
  char buffer[1000];
  for (ssize_t n; (n = read(errors[0], buffer, sizeof buffer)) != 0;) {
    if (n > 0) outcome.errors.append(buffer, static_cast<size_t>(n));
    if (n < 0 && errno != EINTR) break;
  }
  close(errors[0]);
  if (child > 0) {
    while (waitpid(child, &outcome.status, 0) < 0 && errno == EINTR) {
    }
  }
  return outcome;
}

inline std::string Line(const char *function, const void *pointer, const char *kind) {
  char text[200];
  snprintf(text, sizeof text, "hakmem: %s(0x%zx): %s\n", function, reinterpret_cast<uintptr_t>(pointer), kind);
  return text;
}

// What was written without the lines about blocks.
inline std::string WithoutDetails(const std::string &errors) {
  if (!kIsBox) return errors;
  std::string lines;
  for (size_t begin = 0, end; begin < errors.size(); begin = end) {
    end = errors.find('\n', begin);
    end = end == std::string::npos ? errors.size() : end + 1;
    if (errors.compare(begin, 2, "  ") != 0) lines += errors.substr(begin, end - begin);
  }
  return lines;
}

// The child aborts in body with this one line.
inline void ExpectReport(const std::string &line, const std::function<void()> &body) {
  const Outcome outcome = RunMisuse(body);
  EXPECT_TRUE(WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGABRT) << DescribeStatus(outcome.status);
  EXPECT_EQ(line, WithoutDetails(outcome.errors));
}

// One misuse of many, and its report.
struct Misuse {
  std::string line;
  unsigned char *header;  // of the block; or NULL
  unsigned char value;    // that it has meanwhile
  void *freed;
};

inline sigjmp_buf after_report;

// The same for many misuses in one child, which catches each abort and goes on: a report changes nothing.
inline void ExpectReports(const std::vector<Misuse> &all) {
  std::string lines;
  for (const Misuse &misuse : all) lines += misuse.line;
  const Outcome outcome = RunMisuse([&all] {
    signal(SIGABRT, [](int) { siglongjmp(after_report, 1); });
    for (const Misuse &misuse : all) {
      const unsigned char before = misuse.header == nullptr ? 0 : *misuse.header;
      if (misuse.header != nullptr) *misuse.header = misuse.value;
      if (sigsetjmp(after_report, 1) == 0) {
        hak_free(misuse.freed);
        ChildFails("no report, but this was to come: %s", misuse.line.c_str());
      }
      if (misuse.header != nullptr) *misuse.header = before;
    }
  });
  EXPECT_TRUE(WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 0) << DescribeStatus(outcome.status);
  EXPECT_EQ(lines, WithoutDetails(outcome.errors));
}

inline void ExpectFreeReports(const char *kind, void *pointer) {
  ExpectReport(Line("free", pointer, kind), [pointer] { hak_free(pointer); });
}

// What body does is no misuse.
inline void ExpectQuiet(const std::function<void()> &body) {
  const Outcome outcome = RunMisuse(body);
  EXPECT_TRUE(WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 0) << DescribeStatus(outcome.status);
  EXPECT_EQ("", outcome.errors);
}

inline std::string OfSize(size_t size) { return std::to_string(size) + " bytes"; }

inline int global_with_a_value = 1;

// Two blocks of which one begins where the other ends. The others are freed.
inline std::pair<unsigned char *, unsigned char *> Neighbours(size_t size) {
  const size_t stride = Capacity(size) + 1;
  std::vector<unsigned char *> blocks;
  std::pair<unsigned char *, unsigned char *> found = {nullptr, nullptr};
  while (found.first == nullptr && blocks.size() < 1000) {
    blocks.push_back(Allocate(size));
    for (size_t i = 0; i + 1 < blocks.size() && found.first == nullptr; ++i) {
      if (blocks[i] + stride == blocks.back()) found = {blocks[i], blocks.back()};
    }
  }
  for (unsigned char *block : blocks) {
    if (block != found.first && block != found.second) hak_free(block);
  }
  return found;
}

}  // namespace hak_test

#endif  // HAKMEM_TESTS_UNIT_MISUSE_SUPPORT_H_
