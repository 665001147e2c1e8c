// SPDX-License-Identifier: Apache-2.0
//
// Formatting and writing without allocating: os/text.

#include "allocator/os/text.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

namespace {

// A file that lies in memory.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("text_test", MFD_CLOEXEC)) {}
  ~MemoryFile() { close(descriptor_); }
  int descriptor() const { return descriptor_; }
  std::string Contents() const {
    std::string contents(static_cast<size_t>(lseek(descriptor_, 0, SEEK_END)), '\0');
    EXPECT_EQ(static_cast<ssize_t>(contents.size()), pread(descriptor_, &contents[0], contents.size(), 0));
    return contents;
  }

 private:
  int descriptor_;
};

std::string Decimal(uint64_t number) {
  MemoryFile file;
  struct text text;
  text_begin(&text, file.descriptor());
  text_decimal(&text, number);
  EXPECT_EQ(0, text_end(&text));
  return file.Contents();
}

std::string Hexadecimal(uint64_t number) {
  MemoryFile file;
  struct text text;
  text_begin(&text, file.descriptor());
  text_hexadecimal(&text, number);
  EXPECT_EQ(0, text_end(&text));
  return file.Contents();
}

TEST(TextTest, Decimal) {
  for (const uint64_t number : {uint64_t{0}, uint64_t{1}, uint64_t{9}, uint64_t{10}, uint64_t{99}, uint64_t{100},
                                uint64_t{1234567890}, UINT64_MAX - 1, UINT64_MAX}) {
    EXPECT_EQ(std::to_string(number), Decimal(number));
  }
  uint64_t power = 1;
  for (int i = 0; i < 20; ++i, power *= 10) {
    EXPECT_EQ(std::to_string(power), Decimal(power));
    EXPECT_EQ(std::to_string(power - 1), Decimal(power - 1));
  }
}

TEST(TextTest, Hexadecimal) {
  EXPECT_EQ("0x0", Hexadecimal(0));
  EXPECT_EQ("0xf", Hexadecimal(15));
  EXPECT_EQ("0x10", Hexadecimal(16));
  EXPECT_EQ("0x123456789abcdef", Hexadecimal(0x0123456789ABCDEF));
  EXPECT_EQ("0xffffffffffffffff", Hexadecimal(UINT64_MAX));
}

TEST(TextTest, PartsFollowEachOther) {
  MemoryFile file;
  struct text text;
  text_begin(&text, file.descriptor());
  text_string(&text, "one");
  text_string(&text, "");
  text_bytes(&text, "a\0b and more", 3);
  text_bytes(&text, nullptr, 0);
  text_decimal(&text, 42);
  text_string(&text, "\n");
  EXPECT_EQ(0, text_end(&text));
  EXPECT_EQ(std::string("onea\0b42\n", 9), file.Contents());
}

TEST(TextTest, NothingIsWrittenBeforeTheEndOfAShortText) {
  MemoryFile file;
  struct text text;
  text_begin(&text, file.descriptor());
  text_string(&text, "short");
  EXPECT_EQ("", file.Contents()) << "each piece was a system call of its own";
  EXPECT_EQ(0, text_end(&text));
  EXPECT_EQ("short", file.Contents());
}

TEST(TextTest, TextsLongerThanTheBuffer) {
  const size_t buffer = sizeof(static_cast<struct text *>(nullptr)->characters);
  for (size_t length : {buffer - 1, buffer, buffer + 1, 2 * buffer, 2 * buffer + 1, 10 * buffer + 7}) {
    std::string expected;
    for (size_t i = 0; i < length; ++i) expected += static_cast<char>('a' + i % 23);
    for (const size_t piece : {size_t{1}, size_t{7}, length}) {
      MemoryFile file;
      struct text text;
      text_begin(&text, file.descriptor());
      for (size_t i = 0; i < length; i += piece) {
        text_bytes(&text, expected.data() + i, piece < length - i ? piece : length - i);
      }
      EXPECT_EQ(0, text_end(&text));
      EXPECT_EQ(expected, file.Contents()) << length << " bytes in pieces of " << piece;
    }
  }
}

TEST(TextTest, EmptyTextIsNoError) {
  struct text text;
  text_begin(&text, -1);
  EXPECT_EQ(0, text_end(&text));
}

TEST(TextTest, FailedWriteIsReported) {
  struct text text;
  text_begin(&text, -1);
  text_string(&text, "nobody reads this");
  EXPECT_EQ(EBADF, text_end(&text));

  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  text_begin(&text, full);
  text_string(&text, "no room for this");
  EXPECT_EQ(ENOSPC, text_end(&text));
  close(full);
}

// Half a text is worse than none: after a failure nothing more is written, and the first error is the one reported.
TEST(TextTest, FirstErrorStaysAndEndsTheText) {
  const size_t buffer = sizeof(static_cast<struct text *>(nullptr)->characters);
  MemoryFile file;
  struct text text;
  text_begin(&text, -1);
  text_string(&text, std::string(buffer + 1, 'x').c_str());  // the first buffer fails here
  text.file_descriptor = file.descriptor();
  text_string(&text, std::string(3 * buffer, 'y').c_str());
  EXPECT_EQ(EBADF, text_end(&text));
  EXPECT_EQ("", file.Contents());
}

TEST(TextTest, TextCanBeUsedAgain) {
  MemoryFile file;
  struct text text;
  text_begin(&text, -1);
  text_string(&text, "lost");
  EXPECT_EQ(EBADF, text_end(&text));
  text_begin(&text, file.descriptor());
  text_string(&text, "kept");
  EXPECT_EQ(0, text_end(&text));
  EXPECT_EQ("kept", file.Contents());
}

}  // namespace
