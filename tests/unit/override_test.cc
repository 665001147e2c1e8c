// SPDX-License-Identifier: Apache-2.0
//
// hakmem as the malloc of the program, GoogleTest's too: operator new and delete in every form, and what the C library has
// beside malloc: api/cxx_operators, api/libc_override. At each checks level. tests/system has whole programs, with the library
// linked in other ways and preloaded.

#include <errno.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <new>
#include <string>

#include "hakmem/hakmem.h"
#include "tests/unit/test_support.h"

namespace {

// Through volatile, so that the compiler neither sees the size nor drops a pair of new and delete.
volatile size_t too_large = PTRDIFF_MAX;
constexpr std::align_val_t kPage{4096};

void *Used(void *pointer, size_t size, size_t alignment = 16) {
  EXPECT_NE(nullptr, pointer);
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(pointer) % alignment);
  EXPECT_GE(malloc_usable_size(pointer), size);
  memset(pointer, 0x5A, size);
  __asm__ volatile("" : "+r"(pointer) : : "memory");
  return pointer;
}

void ExpectWholeHeap() {
  struct hak_misuse violation;
  EXPECT_EQ(0, hak_check_heap(&violation)) << violation.message;
}

TEST(OverrideTest, TheProgramsMallocIsThis) {
  void *const block = Used(malloc(100), 100);
  EXPECT_EQ(malloc_usable_size(block), hak_usable_size(block));
  EXPECT_EQ(HAK_TEST_EXPECTED_CHECKS, hak_test::ChecksLevel());
  hak_free(block);
}

// ---- operator new and delete ----------------------------------------------------------------------------------------

TEST(OverrideTest, EveryFormOfNewAndDelete) {
  const std::nothrow_t &nothrow = std::nothrow;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{24}, size_t{5000}, size_t{40000}, size_t{3000000}}) {
    ::operator delete(Used(::operator new(size), size));
    ::operator delete(Used(::operator new(size), size), size);
    ::operator delete(Used(::operator new(size, nothrow), size), nothrow);
    ::operator delete[](Used(::operator new[](size), size));
    ::operator delete[](Used(::operator new[](size), size), size);
    ::operator delete[](Used(::operator new[](size, nothrow), size), nothrow);
    for (const size_t alignment : {size_t{32}, size_t{4096}, size_t{1} << 22}) {
      const std::align_val_t align{alignment};
      ::operator delete(Used(::operator new(size, align), size, alignment), align);
      ::operator delete(Used(::operator new(size, align), size, alignment), size, align);
      ::operator delete(Used(::operator new(size, align, nothrow), size, alignment), align, nothrow);
      ::operator delete[](Used(::operator new[](size, align), size, alignment), align);
      ::operator delete[](Used(::operator new[](size, align), size, alignment), size, align);
      ::operator delete[](Used(::operator new[](size, align, nothrow), size, alignment), align, nothrow);
    }
  }
  ExpectWholeHeap();
}

// To look at a block is no misuse, whoever made it.
TEST(OverrideTest, BlocksOfOtherFamiliesAreWhole) {
  void *const one = Used(::operator new(100), 100), *const many = Used(::operator new[](100000), 100000);
  ExpectWholeHeap();
  ::operator delete(one);
  ::operator delete[](many);
}

int handler_calls;

TEST(OverrideTest, WithoutMemory) {
  EXPECT_THROW((void)::operator new(too_large), std::bad_alloc);
  EXPECT_THROW((void)::operator new[](too_large), std::bad_alloc);
  EXPECT_THROW((void)::operator new(too_large, kPage), std::bad_alloc);
  EXPECT_THROW((void)::operator new[](too_large, kPage), std::bad_alloc);
  EXPECT_EQ(nullptr, ::operator new(too_large, std::nothrow));
  EXPECT_EQ(nullptr, ::operator new[](too_large, kPage, std::nothrow));
  // The handler is called until it gives up, but not for an alignment that is none.
  std::set_new_handler([] {
    if (++handler_calls == 3) std::set_new_handler(nullptr);
  });
  const volatile std::align_val_t none{24};
  EXPECT_THROW((void)::operator new(too_large, none), std::bad_alloc);
  EXPECT_EQ(0, handler_calls);
  EXPECT_THROW((void)::operator new(too_large), std::bad_alloc);
  EXPECT_EQ(3, handler_calls);
}

// mallinfo is deprecated, for the field's type that is tested here.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

// ---- What the C library has beside malloc ---------------------------------------------------------------------------

TEST(OverrideTest, Mallinfo) {
  const struct mallinfo2 before = mallinfo2();
  EXPECT_EQ(before.arena, before.uordblks + before.fordblks);
  void *const block = Used(malloc(1000000), 1000000);
  const struct mallinfo2 after = mallinfo2();
  EXPECT_GE(after.uordblks, before.uordblks + 1000000);
  const struct mallinfo narrow = mallinfo();
  EXPECT_EQ(static_cast<int>(after.uordblks), narrow.uordblks);
  EXPECT_EQ(static_cast<int>(after.arena), narrow.arena);
  free(block);
  // More than an int can hold.
  void *const great = malloc(size_t{3} << 30);
  ASSERT_NE(nullptr, great);
  EXPECT_GE(mallinfo2().uordblks, size_t{3} << 30);
  EXPECT_EQ(INT_MAX, mallinfo().uordblks);
  free(great);
}

TEST(OverrideTest, Mallopt) {
  for (const int parameter : {M_MXFAST, M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX}) {
    EXPECT_EQ(1, mallopt(parameter, 1)) << parameter;
  }
  for (const int parameter : {0, 2, M_ARENA_MAX - 1, 12345}) EXPECT_EQ(0, mallopt(parameter, 1)) << parameter;
}

TEST(OverrideTest, MallocInfo) {
  char *text = nullptr;
  size_t length = 0;
  FILE *const stream = open_memstream(&text, &length);
  ASSERT_NE(nullptr, stream);
  EXPECT_EQ(0, malloc_info(0, stream));
  errno = 0;
  EXPECT_EQ(-1, malloc_info(1, stream));
  EXPECT_EQ(EINVAL, errno);
  fclose(stream);
  const std::string written(text, length);
  free(text);
  EXPECT_EQ(0u, written.find("<malloc version=")) << written;
  EXPECT_EQ(written.size() - 10, written.find("</malloc>\n")) << written;
  EXPECT_EQ(-1, malloc_info(0, nullptr));
  FILE *const full = fopen("/dev/full", "w");
  ASSERT_NE(nullptr, full);
  setvbuf(full, nullptr, _IONBF, 0);
  EXPECT_EQ(-1, malloc_info(0, full));
  fclose(full);
}

TEST(OverrideTest, MallocStats) {
  ::testing::internal::CaptureStderr();
  malloc_stats();
  const std::string written = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(std::string::npos, written.find("live_bytes")) << written;
}

}  // namespace
