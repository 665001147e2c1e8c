// SPDX-License-Identifier: Apache-2.0
//
// A C++ program whose containers allocate with operator new, and which asks hakmem what it holds: it is linked with
// malloc = "@hakmem//:malloc".

#include <hakmem/hakmem.h>

#include <cstddef>
#include <iostream>
#include <new>
#include <string>
#include <vector>

namespace {

constexpr int kWords = 10000;

std::size_t LiveBytes() {
  hak_statistics statistics;
  return hak_get_statistics(&statistics, sizeof statistics) == 0 ? statistics.live_bytes : 0;
}

// operator new tells of an impossible size by an exception, whoever defines it.
bool ThrowsBadAlloc() {
  try {
    volatile std::size_t size = static_cast<std::size_t>(-1) / 4;
    std::vector<char> impossible(size);
    return impossible.empty();
  } catch (const std::bad_alloc &) {
    return true;
  }
}

}  // namespace

int main() {
  std::size_t before = LiveBytes();
  std::size_t asked = 0;
  std::vector<std::string> words;
  for (int i = 0; i < kWords; i++) {
    words.push_back("a word that is too long to be kept inside the string object, " + std::to_string(i));
    asked += words.back().size();
  }
  std::size_t after = LiveBytes();

  std::cout << "malloc: " << (after - before >= asked ? "hakmem" : "another") << "\n";
  std::cout << "linked: " << hak_build_info() << "\n";
#if defined(__SANITIZE_ADDRESS__)
  return 0;  // stops the program at such a size instead
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  return 0;
#endif
#endif
  return ThrowsBadAlloc() ? 0 : 1;
}
