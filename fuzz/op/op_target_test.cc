// SPDX-License-Identifier: Apache-2.0
//
// What targets make of their inputs. The rest is seen in what is printed: op_print_test.cc.

#include "fuzz/op/op_target.h"

#include <set>
#include <sstream>
#include <string>

#include "fuzz/op/test_support.h"
#include "gtest/gtest.h"

namespace {

TEST(Target, NamesAreThoseOfTheBuild) {
  std::set<std::string> built, known;
  std::istringstream names(HAK_FUZZ_TARGETS);
  for (std::string name; std::getline(names, name, ',');) built.insert(name);
  for (int i = OP_TARGET_NONE + 1; i < OP_TARGETS; i++) {
    enum op_target target = static_cast<enum op_target>(i);
    known.insert(op_target_name(target));
    EXPECT_EQ(op_target_of(op_target_name(target)), target);
  }
  EXPECT_EQ(built, known);
  EXPECT_EQ(op_target_of(""), OP_TARGET_NONE);
  EXPECT_EQ(op_target_of("larg"), OP_TARGET_NONE);
}

TEST(Target, LargeIsLargeWhateverTheSelector) {
  for (unsigned selector = 0; selector <= UINT8_MAX; selector++) {
    struct op op = MakeOp(OP_PAGE_ALLOC, 0, 0, selector, 0);
    op_make_large(&op);
    ASSERT_GE(op_size(op.selector, 0), size_t{24} << 10);
    op = MakeOp(OP_FREE, 0, 0, selector, 0);
    op_make_large(&op);
    ASSERT_EQ(op.selector, selector);
  }
}

TEST(Target, OptionsText) {
  char text[OP_OPTIONS_TEXT_MAX + 1];
  Bytes input = {'a', 'b', 0, 7, 8};
  EXPECT_EQ(op_read_options_text(input.data(), input.size(), text), 3u);
  EXPECT_STREQ(text, "ab");
  EXPECT_EQ(op_read_options_text(input.data(), 2, text), 2u);
  EXPECT_STREQ(text, "ab");
  EXPECT_EQ(op_read_options_text(input.data(), 0, text), 0u);
  EXPECT_STREQ(text, "");
  // One byte is left out, though it is none that ends the text.
  Bytes greater(OP_OPTIONS_TEXT_MAX + 9, 'x');
  EXPECT_EQ(op_read_options_text(greater.data(), greater.size(), text), OP_OPTIONS_TEXT_MAX + 1u);
  EXPECT_EQ(std::string(text), std::string(OP_OPTIONS_TEXT_MAX, 'x'));
}

}  // namespace
