// SPDX-License-Identifier: Apache-2.0
//
// The report of what was never freed, of a process whose heap could not be set up: api/check_heap.

#include <gtest/gtest.h>

#include <string>

#include "allocator/api/check_heap.h"
#include "allocator/api/process_lifecycle.h"
#include "allocator/base/config.h"
#include "allocator/os/os_memory_fake.h"
#include "hakmem/hakmem.h"
#include "tests/unit/fresh_process.h"

namespace {

// Before the allocator's own constructor.
__attribute__((constructor(101))) void RefuseFromTheStart() { os_fake_fail(OS_FAKE_MAP, 0, SIZE_MAX); }

FRESH_TEST(LeaksBeforeStartTest, AHeapThatCouldNotBeSetUpHasNone) {
  ASSERT_EQ(nullptr, hak_malloc(100));
  ASSERT_FALSE(process_initialized);
  ::testing::internal::CaptureStderr();
  check_heap_print_leaks();
  EXPECT_EQ("", ::testing::internal::GetCapturedStderr());
  struct hak_misuse violation;
  EXPECT_EQ(0, hak_check_heap(&violation));
  // It is set up as soon as it can be.
  os_fake_reset();
  void *const block = hak_malloc(100);
  ASSERT_NE(nullptr, block);
  ::testing::internal::CaptureStderr();
  check_heap_print_leaks();
  const bool prints = !::testing::internal::GetCapturedStderr().empty();
  EXPECT_EQ(HAK_CHECKS_LEVEL == HAK_CHECKS_BOX, prints);
}

}  // namespace
