// SPDX-License-Identifier: Apache-2.0
//
// HAKMEM_OPTIONS: what is accepted, what is warned about, and what the options do. They are read once, when the process
// starts; so the program runs itself again for each case, and the child does what its first argument says.

#include <vector>

#include "tests/unit/child_process.h"
#include "tests/unit/json_numbers.h"
#include "tests/unit/test_support.h"

namespace hak_test {
namespace {

// ---- The child ----

void *Require(void *block) {
  if (block == nullptr) ChildFails("no memory");
  return block;
}

hak_statistics ChildStatistics() {
  hak_statistics statistics;
  if (hak_get_statistics(&statistics, sizeof statistics) != 0) ChildFails("no statistics");
  return statistics;
}

void UseTheHeap() {
  std::vector<void *> blocks;
  for (size_t i = 0; i < 20000; ++i) {
    const size_t size = i % 1000 == 0 ? 50000 * (i / 1000 + 1) : i % 3000;
    blocks.push_back(Require(hak_malloc(size)));
    FillPattern(blocks.back(), size, i);
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    const size_t size = i % 1000 == 0 ? 50000 * (i / 1000 + 1) : i % 3000;
    if (FirstWrongByte(blocks[i], size, i) != kNone) ChildFails("block %zu of %zu bytes was overwritten", i, size);
    hak_free(blocks[i]);
  }
}

// purge_delay_ms=0
void PurgesAtOnce() {
  for (size_t size : {100 * kKiB, kMiB, 3 * kMiB, 64 * kMiB}) {
    void *const block = Require(hak_malloc(size));
    memset(block, 1, size);
    hak_free(block);
    if (ChildStatistics().dirty_bytes != 0) {
      ChildFails("after free of %zu bytes, %zu are still dirty", size, ChildStatistics().dirty_bytes);
    }
  }
  UseTheHeap();
}

// chain_kib=1,pool_chains=0
void CachesLittle() {
  std::vector<void *> blocks(10000);
  for (void *&block : blocks) block = Require(hak_malloc(100));
  for (void *block : blocks) hak_free(block);
  const size_t cached = ChildStatistics().cached_bytes;
  if (cached > 2 * kKiB) ChildFails("%zu bytes are cached", cached);
  UseTheHeap();
}

int RunChild(const std::string &action) {
  if (action == "--child=print") return hak_options_print(STDOUT_FILENO);
  if (action == "--child=use") UseTheHeap();
  if (action == "--child=purge") PurgesAtOnce();
  if (action == "--child=cache") CachesLittle();
  return 0;
}

// ---- The tests ----

struct Option {
  uint64_t value = 0, initial = 0, least = 0, greatest = 0;
};

// Lines of the form "name=value (default n, least to greatest): meaning".
std::map<std::string, Option> ReadOptions(const std::string &text) {
  std::map<std::string, Option> options;
  for (size_t start = 0; start < text.size();) {
    size_t end = text.find('\n', start);
    if (end == std::string::npos) end = text.size();
    const std::string line = text.substr(start, end - start);
    Option option;
    const size_t equals = line.find('=');
    const int read = equals == std::string::npos
                         ? 0
                         : sscanf(line.c_str() + equals, "=%lu (default %lu, %lu to %lu):", &option.value,
                                  &option.initial, &option.least, &option.greatest);
    EXPECT_EQ(4, read) << line;
    EXPECT_GT(line.size(), line.find("): ") + 10) << "no meaning: " << line;
    options[line.substr(0, equals)] = option;
    start = end + 1;
  }
  return options;
}

Outcome RunWith(const char *action, const std::string &options) {
  return RunSelf({action}, {"HAKMEM_OPTIONS=" + options});
}

size_t Lines(const std::string &text) {
  size_t lines = 0;
  for (char c : text) lines += c == '\n';
  return lines;
}

std::map<std::string, Option> Defaults() {
  const Outcome unset = RunSelf({"--child=print"}, {});
  EXPECT_EQ(0, unset.status) << DescribeStatus(unset.status);
  EXPECT_EQ("", unset.errors);
  return ReadOptions(unset.output);
}

TEST(OptionsTest, DefaultsAreInRange) {
  const auto options = Defaults();
  EXPECT_GE(options.size(), 4u);
  for (const auto &[name, option] : options) {
    EXPECT_EQ(option.initial, option.value) << name;
    EXPECT_LE(option.least, option.initial) << name;
    EXPECT_GE(option.greatest, option.initial) << name;
  }
  EXPECT_EQ(1u, options.count("purge_delay_ms"));
}

TEST(OptionsTest, ValuesInRangeAreTaken) {
  for (const auto &[name, option] : Defaults()) {
    for (uint64_t value : {option.least, option.greatest, option.least + (option.greatest - option.least) / 2}) {
      const std::string setting = name + "=" + std::to_string(value);
      const Outcome outcome = RunWith("--child=print", setting);
      EXPECT_EQ(0, outcome.status) << setting << ": " << DescribeStatus(outcome.status);
      EXPECT_EQ(value, ReadOptions(outcome.output)[name].value) << setting;
      if (name != "statistics_at_exit") {
        EXPECT_EQ("", outcome.errors) << setting;
      }
      // Whatever the value, the heap works.
      const Outcome use = RunWith("--child=use", setting);
      EXPECT_EQ(0, use.status) << setting << ": " << DescribeStatus(use.status) << "\n" << use.errors;
    }
  }
}

TEST(OptionsTest, SeveralValuesAndEmptyEntries) {
  const Outcome outcome = RunWith("--child=print", ",,purge_delay_ms=7,,chain_kib=8,");
  EXPECT_EQ("", outcome.errors);
  auto options = ReadOptions(outcome.output);
  EXPECT_EQ(7u, options["purge_delay_ms"].value);
  EXPECT_EQ(8u, options["chain_kib"].value);
  EXPECT_EQ(2u,
            ReadOptions(RunWith("--child=print", "purge_delay_ms=1,purge_delay_ms=2").output)["purge_delay_ms"].value)
      << "the last one holds";
  const Outcome empty = RunWith("--child=print", "");
  EXPECT_EQ("", empty.errors);
  for (const auto &[name, option] : ReadOptions(empty.output)) EXPECT_EQ(option.initial, option.value) << name;
}

TEST(OptionsTest, WhatIsWrongIsWarnedAboutAndChangesNothing) {
  const auto defaults = Defaults();
  std::vector<std::string> wrong = {"nonsense=1",
                                    "nonsense",
                                    "=5",
                                    "=",
                                    "purge_delay_ms",
                                    "purge_delay_ms=",
                                    "purge_delay_ms=abc",
                                    "purge_delay_ms=5x",
                                    "purge_delay_ms= 5",
                                    "purge_delay_ms=5 ",
                                    "purge_delay_ms =5",
                                    " purge_delay_ms=5",
                                    "purge_delay_ms=-1",
                                    "purge_delay_ms=+1",
                                    "purge_delay_ms=0x10",
                                    "purge_delay_ms=1.5",
                                    "purge_delay_ms=5=5",
                                    "purge_delay_m=5",
                                    "purge_delay_mss=5",
                                    "PURGE_DELAY_MS=5",
                                    "purge_delay_ms=4294967301",            // 5 in 32 bits
                                    "purge_delay_ms=18446744073709551621",  // 5 in 64 bits
                                    "purge_delay_ms=99999999999999999999999999999",
                                    "purge_delay_ms=5;chain_kib=8"};
  for (const auto &[name, option] : defaults) {
    wrong.push_back(name + "=" + std::to_string(option.greatest + 1));
    if (option.least > 0) wrong.push_back(name + "=" + std::to_string(option.least - 1));
  }
  for (const std::string &entry : wrong) {
    SCOPED_TRACE("HAKMEM_OPTIONS=" + entry);
    const Outcome outcome = RunWith("--child=print", entry);
    EXPECT_EQ(0, outcome.status) << DescribeStatus(outcome.status);
    EXPECT_EQ(1u, Lines(outcome.errors)) << outcome.errors;
    EXPECT_NE(std::string::npos, outcome.errors.find(entry)) << outcome.errors;
    EXPECT_EQ(0u, outcome.errors.find("hakmem: ")) << outcome.errors;
    for (const auto &[name, option] : ReadOptions(outcome.output)) EXPECT_EQ(option.initial, option.value) << name;
  }
}

TEST(OptionsTest, AWrongEntryDoesNotHideTheOthers) {
  const Outcome outcome = RunWith("--child=print", "nonsense=1,purge_delay_ms=7,chain_kib=0,pool_chains=3");
  EXPECT_EQ(2u, Lines(outcome.errors)) << outcome.errors;
  auto options = ReadOptions(outcome.output);
  EXPECT_EQ(7u, options["purge_delay_ms"].value);
  EXPECT_EQ(3u, options["pool_chains"].value);
  EXPECT_EQ(options["chain_kib"].initial, options["chain_kib"].value);
}

TEST(OptionsTest, LongGarbageIsSurvived) {
  std::string many;
  for (int i = 0; i < 500; ++i) many += "x" + std::to_string(i) + ",";
  const Outcome outcome = RunWith("--child=print", many + std::string(60000, 'y') + ",purge_delay_ms=7");
  EXPECT_EQ(0, outcome.status) << DescribeStatus(outcome.status);
  EXPECT_EQ(501u, Lines(outcome.errors));
  EXPECT_EQ(7u, ReadOptions(outcome.output)["purge_delay_ms"].value);
}

struct Effect {
  const char *options, *action;
};

TEST(OptionsTest, OptionsHaveTheirEffect) {
  for (const Effect &effect : {Effect{"purge_delay_ms=0", "--child=purge"},
                               // What the Box has in quarantine counts as cached.
                               {"chain_kib=1,pool_chains=0,box_quarantine_blocks=0", "--child=cache"},
                               {"thp=1", "--child=use"}}) {
    const Outcome outcome = RunWith(effect.action, effect.options);
    EXPECT_EQ(0, outcome.status) << effect.options << " " << effect.action << ": " << DescribeStatus(outcome.status);
    EXPECT_EQ("", outcome.errors) << effect.options;
  }
}

TEST(OptionsTest, StatisticsAtExit) {
  const Outcome outcome = RunWith("--child=use", "statistics_at_exit=1");
  EXPECT_EQ(0, outcome.status) << DescribeStatus(outcome.status);
  JsonNumbers json;
  EXPECT_EQ("", json.Read(outcome.errors)) << outcome.errors;
  EXPECT_EQ(1u, json.numbers().count("live_bytes")) << outcome.errors;
  EXPECT_EQ("", RunWith("--child=use", "statistics_at_exit=0").errors);
}

}  // namespace
}  // namespace hak_test

int main(int argc, char **argv) {
  if (argc == 2 && strncmp(argv[1], "--child=", 8) == 0) return hak_test::RunChild(argv[1]);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
