#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each input of a corpus covers the same whenever it is executed, whatever was executed before it: what AFL++ calls stability.

    stability_test.py BINARY CORPUS

BINARY is a fuzz target for AFL++ without a sanitizer. afl-showmap counts how often an input comes along each edge, in the steps
that AFL++ tells apart; the whole corpus is executed three times. No input may crash or hang, or the next one would begin anew;
that one calls exit is not noticed.
Without arguments the test tests itself, on targets that it makes.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TIMES = 3
# More than any target has edges.
MAP_BYTES = 1 << 16
SHOWN = 5
# What afl-showmap says of an input that ended the process, or did not end.
ENDED = re.compile(r"killed by signal|timed out", re.I)


def copy_corpus(corpus, directory):
    """Copies TIME.NAME: afl-showmap goes by name, so an input comes again after all others."""
    names = sorted(os.listdir(corpus))
    for time in range(TIMES):
        for name in names:
            shutil.copy(os.path.join(corpus, name), os.path.join(directory, "%d.%s" % (time, name)))
    return names


def show_maps(binary, inputs, maps):
    """What is wrong with how it ended: its status is the last input's."""
    # As afl-fuzz tells a target that it is to stay for more than one input.
    environment = dict(os.environ, __AFL_PERSISTENT="1", AFL_MAP_SIZE=str(MAP_BYTES))
    done = subprocess.run(["afl-showmap", "-m", "none", "-t", "25000", "-i", inputs, "-o", maps, "--", binary],
                          env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                          errors="replace", check=False)
    said = [line for line in done.stdout.splitlines() if ENDED.search(line)]
    if done.returncode != 0 or said:
        return ["afl-showmap: status %d" % done.returncode] + (said[:SHOWN] or [done.stdout[-3000:]])
    return []


def read_map(path):
    with open(path, encoding="ascii") as lines:
        return set(lines.read().split())


def read_maps(maps, name):
    """EDGE:STEP of each execution of an input."""
    return [read_map(os.path.join(maps, "%d.%s" % (time, name))) for time in range(TIMES)]


def find_problems(binary, corpus, directory):
    inputs, maps = os.path.join(directory, "inputs"), os.path.join(directory, "maps")
    os.mkdir(inputs)
    names = copy_corpus(corpus, inputs)
    if not names:
        return ["%s is empty" % corpus]
    problems = show_maps(os.path.abspath(binary), inputs, maps)
    if problems:
        return problems
    most = 0
    for name in names:
        try:
            executions = read_maps(maps, name)
        except OSError as problem:
            problems.append("%s was not executed: %s" % (name, problem.strerror))
            continue
        most = max(most, len(executions[0]))
        edges = set.union(*executions) - set.intersection(*executions)
        if edges:
            problems.append("%s: %d edges differ: %s" % (name, len(edges), " ".join(sorted(edges)[:SHOWN])))
    print("%d inputs, with %d edges at most" % (len(names), most))
    return problems if most else problems + ["no input came along any edge"]


def main(binary, corpus):
    with tempfile.TemporaryDirectory(prefix="stability.") as directory:
        problems = find_problems(binary, corpus, directory)
    print("".join(problem + "\n" for problem in problems) + "%d problems" % len(problems))
    return 1 if problems else 0


TARGET = """
#include <stdint.h>
#include <stdlib.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static volatile int times, more;
  times++;
  if (size == 0) return 0;
  if (data[0] == 'v' && times > 4) more++;
  if (data[0] == 'c') abort();
  for (int i = 1; i < data[0]; i++) more++;
  return 0;
}
"""


class FindsWhatIsNotStable(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="stability.")
        cls.binary = os.path.join(cls.directory.name, "target")
        source = cls.binary + ".c"
        with open(source, "w", encoding="utf-8") as file:
            file.write(TARGET)
        subprocess.run(["afl-clang-fast", "-fsanitize=fuzzer", "-O0", source, "-o", cls.binary], check=True,
                       env=dict(os.environ, AFL_QUIET="1"))

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def problems(self, *contents):
        with tempfile.TemporaryDirectory() as directory:
            corpus, work = os.path.join(directory, "corpus"), os.path.join(directory, "work")
            os.mkdir(corpus)
            os.mkdir(work)
            for number, content in enumerate(contents):
                with open(os.path.join(corpus, "input%d" % number), "w", encoding="ascii") as file:
                    file.write(content)
            return "\n".join(find_problems(self.binary, corpus, work))

    def test_stable(self):
        self.assertEqual(self.problems("a", "b", "z"), "")

    def test_variable(self):
        self.assertIn("input1: ", self.problems("a", "v", "z"))

    def test_an_input_that_crashes(self):
        self.assertIn("afl-showmap: status", self.problems("a", "c", "z"))

    def test_inputs_that_are_not_executed(self):
        self.assertIn("input1 was not executed", self.problems("a", ""))
        self.assertIn("is empty", self.problems())


if __name__ == "__main__":
    for program in ("afl-showmap", "afl-clang-fast"):
        if shutil.which(program) is None:
            sys.exit("%s is missing: apt-get install afl++" % program)
    if len(sys.argv) == 1:
        unittest.main()
    sys.exit(main(*sys.argv[1:]))
