// SPDX-License-Identifier: Apache-2.0
//
// A program that uses no form of operator new but the nothrow ones, and in which nobody names std::bad_alloc: linked
// statically, it has no part of the C++ library that throws it. Without memory these forms are NULL all the same.

#include <new>

#include "check.h"

static volatile size_t too_large = PTRDIFF_MAX;

int main() {
  CHECK(!::operator new(too_large, std::nothrow));
  CHECK(!::operator new[](too_large, std::nothrow));
  CHECK(!::operator new(too_large, std::align_val_t{4096}, std::nothrow));
  void *block = ::operator new(100, std::nothrow);
  CHECK(block);
  fill_block(block, 100);
  ::operator delete(block, std::nothrow);
  puts("passed");
  return 0;
}
