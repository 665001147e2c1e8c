// SPDX-License-Identifier: Apache-2.0
//
// Every form of operator new and delete from a C++ program, and what the standard says of failure: bad_alloc, nothrow's NULL,
// the new handler. The program does not replace the operators: they come from the allocator under test.

#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"

namespace {

// Through volatile, so that the compiler neither sees the size nor drops a pair of new and delete.
volatile size_t too_large = PTRDIFF_MAX;
constexpr std::align_val_t kPage{4096};

template <typename Pointer>
Pointer *filled(Pointer *pointer, size_t size, size_t alignment = 16) {
  CHECK(pointer != nullptr);
  CHECK(reinterpret_cast<uintptr_t>(pointer) % alignment == 0);
  fill_block(pointer, size);
  return pointer;
}

void call_every_form(size_t size) {
  const std::nothrow_t &nothrow = std::nothrow;
  ::operator delete(filled(::operator new(size), size));
  ::operator delete(filled(::operator new(size), size), size);
  ::operator delete(filled(::operator new(size, nothrow), size), nothrow);
  ::operator delete[](filled(::operator new[](size), size));
  ::operator delete[](filled(::operator new[](size), size), size);
  ::operator delete[](filled(::operator new[](size, nothrow), size), nothrow);
  for (size_t alignment = 8; alignment <= (size_t)4 << 20; alignment *= 2) {
    std::align_val_t align{alignment};
    ::operator delete(filled(::operator new(size, align), size, alignment), align);
    ::operator delete(filled(::operator new(size, align), size, alignment), size, align);
    ::operator delete(filled(::operator new(size, align, nothrow), size, alignment), align, nothrow);
    ::operator delete[](filled(::operator new[](size, align), size, alignment), align);
    ::operator delete[](filled(::operator new[](size, align), size, alignment), size, align);
    ::operator delete[](filled(::operator new[](size, align, nothrow), size, alignment), align, nothrow);
  }
  ::operator delete(nullptr);
  ::operator delete[](nullptr, size);
  ::operator delete(nullptr, kPage);
}

template <typename Call>
bool throws_bad_alloc(Call call) {
  try {
    call();
  } catch (const std::bad_alloc &) {
    return true;
  }
  return false;
}

int handler_calls;
void *reserve;

void give_up() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}

struct HandlerThrew {};
[[noreturn]] void throw_from_handler() { throw HandlerThrew(); }

void fail_in_every_form() {
  CHECK(throws_bad_alloc([] { return ::operator new(too_large); }));
  CHECK(throws_bad_alloc([] { return ::operator new[](too_large); }));
  CHECK(throws_bad_alloc([] { return ::operator new(too_large, kPage); }));
  CHECK(throws_bad_alloc([] { return ::operator new[](too_large, kPage); }));
  CHECK(!::operator new(too_large, std::nothrow));
  CHECK(!::operator new[](too_large, std::nothrow));
  CHECK(!::operator new(too_large, kPage, std::nothrow));
  CHECK(!::operator new[](too_large, kPage, std::nothrow));
  // The handler is called until it gives up; nothrow calls it too.
  for (int form = 0; form < 4; form++) {
    handler_calls = 0;
    std::set_new_handler(give_up);
    if (form == 0) CHECK(throws_bad_alloc([] { return ::operator new(too_large); }));
    if (form == 1) CHECK(!::operator new[](too_large, std::nothrow));
    if (form == 2) CHECK(throws_bad_alloc([] { return ::operator new[](too_large, kPage); }));
    if (form == 3) CHECK(!::operator new(too_large, kPage, std::nothrow));
    CHECK(handler_calls == 3);
  }
  // A handler may throw what it likes; nothrow forms turn bad_alloc into NULL.
  std::set_new_handler(throw_from_handler);
  bool caught = false;
  try {
    ::operator delete(::operator new(too_large));
  } catch (const HandlerThrew &) {
    caught = true;
  }
  CHECK(caught);
  std::set_new_handler([] { throw std::bad_alloc(); });
  CHECK(!::operator new(too_large, std::nothrow));
  std::set_new_handler(nullptr);
  // Rounding such a size up to the alignment would overflow.
  CHECK(throws_bad_alloc([] { return ::operator new(~(size_t)0, kPage); }));
}

void use_the_library(int seed) {
  std::map<std::string, std::vector<std::string>> table;
  uint64_t state = static_cast<uint64_t>(seed);
  for (int i = 0; i < 20000; i++) {
    auto &list = table["key" + std::to_string(next_random(&state) % 500)];
    list.emplace_back(next_random(&state) % 80, 'x');
    if (list.size() > 50) list = std::vector<std::string>(list.begin() + 25, list.end());
  }
  size_t total = 0;
  for (auto &[key, list] : table)
    for (auto &text : list) total += key.size() + text.size();
  CHECK(total > 0);
  struct alignas(128) Aligned {
    char data[200];
  };
  std::vector<std::unique_ptr<Aligned>> aligned;
  for (int i = 0; i < 1000; i++) {
    aligned.push_back(std::make_unique<Aligned>());
    CHECK(reinterpret_cast<uintptr_t>(aligned.back().get()) % 128 == 0);
  }
  // Exceptions are allocated too.
  for (int i = 0; i < 200; i++) {
    try {
      std::string(10, 'x').at(100);
      _exit(9);
    } catch (const std::out_of_range &error) {
      CHECK(strlen(error.what()) > 0);
    }
  }
}

}  // namespace

int main() {
  for (size_t size : {0, 1, 15, 16, 24, 100, 1000, 5000, 40000, 700000, 5000000}) call_every_form(size);
  // Blocks of size 0 are blocks of their own.
  reserve = ::operator new(0);
  void *other = ::operator new(0);
  CHECK(reserve != other);
  ::operator delete(reserve);
  ::operator delete(other);
  fail_in_every_form();
  std::vector<std::thread> threads;
  for (int n = 0; n < 4; n++) {
    threads.emplace_back([n] {
      use_the_library(n);
      CHECK(throws_bad_alloc([] { return ::operator new(too_large); }));
    });
  }
  for (auto &thread : threads) thread.join();
  puts("passed");
  return 0;
}
