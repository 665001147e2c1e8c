// SPDX-License-Identifier: Apache-2.0
//
// What the Box asks about the process: threads, touched pages, stacks, addresses of code: os/os_inspect_linux.

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "allocator/os/os.h"
#include "allocator/os/text.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"

namespace {

constexpr size_t kMost = 64;  // pages that are asked about at once

TEST(OsInspectTest, ThreadIdIsTheKernels) {
  EXPECT_EQ(static_cast<uint32_t>(getpid()), os_thread_id());
  uint32_t other = 0;
  std::thread([&other] {
    other = os_thread_id();
    EXPECT_EQ(static_cast<uint32_t>(syscall(SYS_gettid)), other);
  }).join();
  EXPECT_NE(os_thread_id(), other);
}

// Pages that nobody has touched yet, without huge ones, of which one touch takes many.
class Pages {
 public:
  explicit Pages(size_t count) : bytes_(count * os_page_size()) {
    void *const mapped = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) abort();
    memory_ = static_cast<volatile char *>(mapped);
    madvise(mapped, bytes_, MADV_NOHUGEPAGE);
  }
  ~Pages() { munmap(const_cast<char *>(memory_), bytes_); }
  void *At(size_t page) const { return const_cast<char *>(memory_ + page * os_page_size()); }
  void Touch(size_t page) { memory_[page * os_page_size() + page] = 1; }

 private:
  const size_t bytes_;
  volatile char *memory_;
};

TEST(OsInspectTest, TouchedPages) {
  Pages pages(kMost + 2);
  EXPECT_EQ(0u, os_memory_touched(pages.At(1), kMost));
  uint64_t expected = 0;
  for (const size_t page : {0, 1, 5, 31, 32, 33, 62, 63}) {
    pages.Touch(1 + page);
    expected |= uint64_t{1} << page;
    EXPECT_EQ(expected, os_memory_touched(pages.At(1), kMost));
  }
  // No page but those that are asked about.
  EXPECT_EQ(0u, os_memory_touched(pages.At(0), 1));
  EXPECT_EQ(2u, os_memory_touched(pages.At(0), 2));
  EXPECT_EQ(6u, os_memory_touched(pages.At(0), 3));
  EXPECT_EQ(0u, os_memory_touched(pages.At(kMost + 1), 1));
  EXPECT_EQ(0u, os_memory_touched(pages.At(1), 0));
  ASSERT_EQ(0, madvise(pages.At(1 + 5), os_page_size(), MADV_DONTNEED));
  EXPECT_EQ(expected & ~(uint64_t{1} << 5), os_memory_touched(pages.At(1), kMost)) << "given back";
}

// Where the kernel does not tell, any page may have been touched.
TEST(OsInspectTest, NothingIsKnownOfWhatIsNoAddress) {
  EXPECT_EQ(UINT64_MAX, os_memory_touched(reinterpret_cast<void *>(uintptr_t{1} << 62), 3));
}

FRESH_TEST(OsInspectTest, NothingIsKnownWithoutADescriptor) {
  Pages pages(3);
  ASSERT_EQ(0u, os_memory_touched(pages.At(0), 3));
  const struct rlimit none = {0, 0};
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
  EXPECT_EQ(UINT64_MAX, os_memory_touched(pages.At(0), 3));
}

FRESH_TEST(OsInspectTest, DescriptorsAreClosed) {
  Pages pages(3);
  const int before = dup(STDERR_FILENO);
  close(before);
  for (int i = 0; i < 10; ++i) os_memory_touched(pages.At(0), 3);
  const int after = dup(STDERR_FILENO);
  EXPECT_EQ(before, after);
}

// ---- Stacks ---------------------------------------------------------------------------------------------------------

struct Captured {
  const void *frames[64];
  size_t count;
  const void *returns[3];  // where Innermost, Middle and Outermost return to
};

// Each has a frame: it does something after its call.
__attribute__((noinline)) void Innermost(size_t most, int inner, Captured *captured) {
  captured->returns[0] = __builtin_return_address(0);
  const void *const from = inner < 0 ? captured : captured->returns[inner];
  memset(captured->frames, 0x77, sizeof captured->frames);
  captured->count = os_stack_capture(captured->frames, most, from);
  __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void Middle(size_t most, int inner, Captured *captured) {
  captured->returns[1] = __builtin_return_address(0);
  Innermost(most, inner, captured);
  __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void Outermost(size_t most, int inner, Captured *captured) {
  captured->returns[2] = __builtin_return_address(0);
  Middle(most, inner, captured);
  __asm__ volatile("" ::: "memory");
}

TEST(OsInspectTest, StacksBeginWhereTheyShould) {
  os_stack_prepare();
  for (int inner = 0; inner < 3; ++inner) {
    SCOPED_TRACE(inner);
    Captured captured = {};
    Outermost(20, inner, &captured);
    ASSERT_GE(captured.count, static_cast<size_t>(3 - inner));
    ASSERT_LE(captured.count, 20u);
    for (int i = inner; i < 3; ++i) EXPECT_EQ(captured.returns[i], captured.frames[i - inner]);
  }
}

TEST(OsInspectTest, StacksHaveNoMoreFramesThanAskedFor) {
  os_stack_prepare();
  Captured untouched;
  memset(&untouched, 0x77, sizeof untouched);
  for (size_t most = 0; most < 5; ++most) {
    Captured captured = {};
    Outermost(most, 0, &captured);
    EXPECT_EQ(most, captured.count);
    EXPECT_EQ(0, memcmp(captured.frames + most, untouched.frames, sizeof(void *))) << "written behind the end";
  }
}

// Not by a place that is none of theirs: then nothing is left out.
TEST(OsInspectTest, StacksWithoutTheirBeginning) {
  os_stack_prepare();
  Captured captured = {};
  Outermost(20, -1, &captured);
  size_t found = 0;
  while (found < captured.count && captured.frames[found] != captured.returns[0]) ++found;
  ASSERT_LT(found + 2, captured.count);
  EXPECT_GT(found, 0u) << "the allocator's own frames are there";
  EXPECT_EQ(captured.returns[1], captured.frames[found + 1]);
  EXPECT_EQ(captured.returns[2], captured.frames[found + 2]);
}

__attribute__((noinline)) int Deep(int depth, Captured *captured) {
  if (depth == 0) Outermost(64, -1, captured);
  int result = depth == 0 ? 0 : Deep(depth - 1, captured) + 1;
  __asm__ volatile("" : "+r"(result)::"memory");
  return result;
}

// More than can be kept.
TEST(OsInspectTest, DeepStacks) {
  os_stack_prepare();
  Captured captured = {};
  EXPECT_EQ(200, Deep(200, &captured));
  EXPECT_EQ(64u, captured.count);
}

// ---- Addresses of code ----------------------------------------------------------------------------------------------

std::string Describe(const void *address) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  struct text text;
  text_begin(&text, ends[1]);
  os_describe_address(&text, address);
  text_end(&text);
  close(ends[1]);
  char characters[500];
  const ssize_t length = read(ends[0], characters, sizeof characters);
  close(ends[0]);
  return std::string(characters, length < 0 ? 0 : static_cast<size_t>(length));
}

const char *PastTheFirstByte(const void *function) { return static_cast<const char *>(function) + 1; }

// "module+0x… name"
void ExpectDescription(const std::string &module, const std::string &name, const std::string &text) {
  EXPECT_EQ(0u, text.find(module + "+0x")) << text;
  EXPECT_EQ(std::string::npos, text.find('/')) << text;
  const size_t space = text.find(' ');
  EXPECT_EQ(name, space == std::string::npos ? "" : text.substr(space + 1)) << text;
}

// A function that no sanitizer puts its own in place of; as the library has it, not the program's way to it.
const void *LibraryFunction() { return dlsym(RTLD_DEFAULT, "gnu_get_libc_version"); }

TEST(OsInspectTest, FunctionsOfALibraryHaveNames) {
  ExpectDescription("libc.so.6", "gnu_get_libc_version", Describe(PastTheFirstByte(LibraryFunction())));
}

// A call may be a function's last instruction: what it returns to is then behind the function.
TEST(OsInspectTest, AnAddressIsThatOfTheCallBeforeIt) {
  const std::string text = Describe(LibraryFunction());
  EXPECT_EQ(0u, text.find("libc.so.6+0x")) << text;
  EXPECT_EQ(std::string::npos, text.find(" gnu_get_libc_version")) << text;
}

TEST(OsInspectTest, OffsetsAreThoseInTheModule) {
  const std::string first = Describe(PastTheFirstByte(reinterpret_cast<void *>(&Deep)));
  const std::string second = Describe(PastTheFirstByte(reinterpret_cast<void *>(&Outermost)));
  const auto offset = [](const std::string &text) { return strtoull(text.c_str() + text.find('+') + 1, nullptr, 16); };
  EXPECT_EQ(reinterpret_cast<uintptr_t>(&Deep) - reinterpret_cast<uintptr_t>(&Outermost),
            offset(first) - offset(second));
  Dl_info module;
  ASSERT_NE(0, dladdr(reinterpret_cast<void *>(&Deep), &module));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(&Deep) + 1 - reinterpret_cast<uintptr_t>(module.dli_fbase), offset(first));
  char name[1000] = {};
  ASSERT_GT(readlink("/proc/self/exe", name, sizeof name - 1), 0);
  EXPECT_EQ(0u, first.find(std::string(strrchr(name, '/') + 1) + "+0x")) << first;
}

TEST(OsInspectTest, WhatIsNoCodeHasNoDescription) {
  EXPECT_EQ("", Describe(nullptr));
  EXPECT_EQ("", Describe(reinterpret_cast<void *>(uintptr_t{16})));
  int on_the_stack = 0;
  EXPECT_EQ("", Describe(&on_the_stack));
}

}  // namespace
