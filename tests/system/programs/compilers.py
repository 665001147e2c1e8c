# SPDX-License-Identifier: Apache-2.0
"""gcc and clang compile the allocator, and C++ with large headers; lld links with threads. The files must be the same."""

import shutil

INCLUDE = ["-I.", "-Iallocator/include"]
FLAGS = ["-std=gnu11", "-O2", "-g", "-fPIC", "-DHAK_CHECKS_LEVEL=0", "-DHAK_OVERRIDE_MALLOC=1"]

# Templates make a compiler allocate: this takes it to some hundred MiB.
TEMPLATES = """
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <regex>
#include <string>
#include <unordered_map>
#include <variant>
template <int N> struct Chain { std::map<std::string, std::function<int(int)>> table; Chain<N - 1> next; };
template <> struct Chain<0> {};
int main(int argc, char **argv) {
  Chain<25> chain;
  chain.table["one"] = [](int x) { return x + 1; };
  std::variant<int, std::string, std::vector<double>> value = argc > 1 ? argv[1] : "none";
  std::unordered_map<std::string, std::vector<int>> index;
  std::regex words("([a-z]+)-([0-9]+)");
  std::smatch match;
  std::string text = "block-42";
  if (std::regex_match(text, match, words)) index[match[1]].push_back(std::stoi(match[2]));
  std::visit([](auto &v) { std::cout << sizeof v << "\\n"; }, value);
  std::sort(index["block"].begin(), index["block"].end());
  std::cout << index["block"].size() << " " << chain.table["one"](41) << "\\n";
}
"""


def scenario(session):
    # All names that get into the output are relative to the root of the repository.
    shutil.copytree(session.files["allocator"], f"{session.directory}/allocator")
    session.write("templates.cc", TEMPLATES)
    source = "allocator/all_in_one.c"
    for name, compiler in (("gcc", "/usr/bin/gcc"), ("clang", "/usr/bin/clang-19")):
        session.run([compiler] + FLAGS + INCLUDE + ["-c", source, "-o", f"{name}.o"])
        session.observe_file(f"{name}.o")
        session.run([compiler] + INCLUDE + ["-std=gnu11", "-DHAK_CHECKS_LEVEL=2", "-O1", "-S", source, "-o", f"{name}.s"])
        session.observe_file(f"{name}.s")
    session.run(["/usr/bin/g++", "-std=c++17", "-O1", "-g", "templates.cc", "-o", "templates-gcc"])
    session.observe_file("templates-gcc")
    session.run(["./templates-gcc", "argument"])
    link = ["-fuse-ld=lld", "-Wl,--threads=4", "-flto=thin"]
    session.run(["/usr/bin/clang-19", "-x", "c++", "-std=c++17", "-O1", "-g"] + link +
                ["templates.cc", "-lstdc++", "-o", "templates-clang"])
    session.observe_file("templates-clang")
    session.run(["./templates-clang", "argument"])
    # A program with an error: what a compiler says and how it ends.
    session.write("wrong.c", "int main(void) { return undeclared; }\n")
    session.run(["/usr/bin/gcc", "-c", "wrong.c"], expected=1)
    session.run(["/usr/bin/clang-19", "-c", "wrong.c"], expected=1)
