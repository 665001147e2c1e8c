// SPDX-License-Identifier: Apache-2.0
//
// A strict little JSON reader for what hak_statistics_print writes: says whether the text is one valid JSON value, and
// keeps every number under its path, as "by_class.3.blocks_live".

#ifndef HAKMEM_TESTS_UNIT_JSON_NUMBERS_H_
#define HAKMEM_TESTS_UNIT_JSON_NUMBERS_H_

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>

#include <map>
#include <string>

namespace hak_test {

class JsonNumbers {
 public:
  // Returns what is wrong and where, or an empty string.
  std::string Read(const std::string &text) {
    text_ = &text;
    at_ = 0;
    error_.clear();
    numbers_.clear();
    Space();
    Value("");
    Space();
    if (error_.empty() && at_ != text.size()) Fail("text after the value");
    return error_;
  }

  const std::map<std::string, uint64_t> &numbers() const { return numbers_; }

 private:
  void Fail(const std::string &what) {
    if (error_.empty()) error_ = what + " at byte " + std::to_string(at_);
    at_ = text_->size();
  }
  char Peek() const { return at_ < text_->size() ? (*text_)[at_] : '\0'; }
  void Space() {
    while (Peek() == ' ' || Peek() == '\n' || Peek() == '\t' || Peek() == '\r') ++at_;
  }
  void Expect(char c) {
    if (Peek() != c || at_ >= text_->size()) return Fail(std::string("no '") + c + "'");
    ++at_;
  }

  void Value(const std::string &path) {
    const char c = Peek();
    if (c == '{') return Object(path);
    if (c == '[') return Array(path);
    if (c == '"') return static_cast<void>(String());
    if (c == '-' || isdigit(static_cast<unsigned char>(c))) return Number(path);
    for (const char *word : {"true", "false", "null"}) {
      if (text_->compare(at_, std::string(word).size(), word) == 0) {
        at_ += std::string(word).size();
        return;
      }
    }
    Fail("no value");
  }

  void Object(const std::string &path) {
    Expect('{');
    Space();
    if (Peek() == '}') return Expect('}');
    std::map<std::string, bool> seen;
    while (error_.empty()) {
      Space();
      const std::string name = String();
      if (seen[name]) Fail("the name \"" + name + "\" a second time");
      seen[name] = true;
      Space();
      Expect(':');
      Space();
      Value(path.empty() ? name : path + "." + name);
      Space();
      if (Peek() == '}') return Expect('}');
      Expect(',');
    }
  }

  void Array(const std::string &path) {
    Expect('[');
    Space();
    if (Peek() == ']') return Expect(']');
    for (size_t i = 0; error_.empty(); ++i) {
      Space();
      Value((path.empty() ? "" : path + ".") + std::to_string(i));
      Space();
      if (Peek() == ']') return Expect(']');
      Expect(',');
    }
  }

  std::string String() {
    std::string result;
    Expect('"');
    while (error_.empty() && Peek() != '"') {
      if (at_ >= text_->size() || static_cast<unsigned char>(Peek()) < 0x20) {
        Fail("a string without end");
        return result;
      }
      if (Peek() == '\\') {
        ++at_;
        if (std::string("\"\\/bfnrtu").find(Peek()) == std::string::npos) Fail("a bad escape");
      }
      result += Peek();
      ++at_;
    }
    Expect('"');
    return result;
  }

  void Number(const std::string &path) {
    const size_t start = at_;
    if (Peek() == '-') ++at_;
    if (Peek() == '0' && isdigit(static_cast<unsigned char>(at_ + 1 < text_->size() ? (*text_)[at_ + 1] : 'x'))) {
      return Fail("a number that begins with 0");
    }
    if (!isdigit(static_cast<unsigned char>(Peek()))) return Fail("no digit");
    while (isdigit(static_cast<unsigned char>(Peek()))) ++at_;
    if (Peek() == '.') {
      ++at_;
      if (!isdigit(static_cast<unsigned char>(Peek()))) return Fail("no digit");
      while (isdigit(static_cast<unsigned char>(Peek()))) ++at_;
    }
    numbers_[path] = strtoull(text_->substr(start, at_ - start).c_str(), nullptr, 10);
  }

  const std::string *text_ = nullptr;
  size_t at_ = 0;
  std::string error_;
  std::map<std::string, uint64_t> numbers_;
};

}  // namespace hak_test

#endif  // HAKMEM_TESTS_UNIT_JSON_NUMBERS_H_
