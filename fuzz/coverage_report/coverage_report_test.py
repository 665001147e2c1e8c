#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a program whose coverage is known at two levels, and lets fuzz/coverage make its tables of that: the names of the
profiles, merging, llvm-cov, and the sums. Also the sums alone, on exports written by hand.

  coverage_report_test.py FIXTURE_AT_LEVEL_0 FIXTURE_AT_LEVEL_1
"""

import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import coverage_report  # noqa: E402
import profiles  # noqa: E402

FILE = "fuzz/coverage_report/fixture.h"
PROGRAMS = []


def load_script():
    """fuzz/coverage as a module."""
    loader = importlib.machinery.SourceFileLoader("coverage_script", os.path.join(os.path.dirname(HERE), "coverage"))
    spec = importlib.util.spec_from_loader("coverage_script", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def fixture_lines():
    with open(os.path.join(HERE, "fixture.h"), encoding="utf-8") as file:
        return file.read().split("\n")


def line_of(text):
    """The number of the only line with a text."""
    found = [number for number, line in enumerate(fixture_lines(), 1) if text in line]
    assert len(found) == 1, (text, found)
    return found[0]


class FixtureTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        script = load_script()
        cls.groups = {}
        with tempfile.TemporaryDirectory() as directory:
            for level, program in enumerate(PROGRAMS):
                written = script.fresh_directory(os.path.join(directory, f"level {level}"))
                environment = dict(os.environ, LLVM_PROFILE_FILE=profiles.name_in(written))
                subprocess.run([program], env=environment, check=True)
                merged = profiles.merge(written)
                assert merged is not None, "there is no profile"
                cls.groups[("tests", "corpus")[level]] = profiles.read_programs([program], merged, FILE)

    def of(self, group):
        return self.groups[group][FILE]

    def test_only_the_files_that_were_asked_for(self):
        for files in self.groups.values():
            self.assertEqual([FILE], list(files))

    def test_what_children_counted(self):
        # The first one aborts, the second one leaves by _exit.
        for group in self.groups:
            lines = self.of(group).items("lines")
            self.assertEqual(1, lines[line_of("abort();")])
            self.assertEqual(1, lines[line_of("_exit(0);")])

    def test_lines_of_one_level(self):
        only_0, only_1 = line_of("if (number > 0)"), line_of("if (number > 5)")
        tests, corpus = self.of("tests").items("lines"), self.of("corpus").items("lines")
        self.assertEqual((2, None), (tests.get(only_0), tests.get(only_1)))
        self.assertEqual((None, 2), (corpus.get(only_0), corpus.get(only_1)))

    def test_a_function_without_use_at_one_level(self):
        comment, code = line_of("// A comment, which is no code."), line_of("return 7;")
        both = coverage_report.FileCoverage()
        both.add(self.of("tests"))
        self.assertEqual(0, both.items("lines")[code], "only one level knows it, and does not call it")
        both.add(self.of("corpus"))
        self.assertEqual(1, both.items("lines")[code])
        self.assertNotIn(comment, both.items("lines"))
        self.assertEqual(5, len(both.items("functions")))

    def test_branches(self):
        # At level 0 the second condition of the last line is never looked at; the first one is a constant at both.
        line = line_of("return FIXTURE_LEVEL == 1")
        both = coverage_report.FileCoverage()
        for group in self.groups:
            both.add(self.of(group))
        ways = {key: count for key, count in both.items("branches").items() if key[0][0] == line}
        self.assertEqual([1, 1], sorted(ways.values()))

    def test_gaps(self):
        expected = [
            f"{line_of('if (number > 5)')}: column 7 never true: if (number > 5) {{",
            f"{line_of('return 2;')}: line: return 2;",
            f"{line_of('return 2;') + 1}: line: }}",
            f"{line_of('static int never')}: line: static int never(int number) {{ return number > 7 ? 1 : 2; }}",
            f"{line_of('if (of_level(0) > 9)')}: column 7 never true: if (of_level(0) > 9) return;",
        ]
        lines = fixture_lines()
        text = coverage_report.gaps(self.groups, lambda _name, line: lines[line - 1])
        self.assertEqual([f"{FILE}:{line}" for line in expected], text.splitlines())

    def test_summary(self):
        text = coverage_report.summary(self.groups)
        row = [line.split() for line in text.splitlines() if line.startswith(FILE)]
        self.assertEqual(1, len(row), text)
        # Of 5 functions one is never called, and one at level 1 only. Of 10 ways level 0 has two of its own and goes both,
        # level 1 has four and goes three; of the four of both, two are in the function that is never called.
        self.assertEqual(["5", "60.0", "80.0", "80.0"], row[0][-4:])
        self.assertEqual(["10", "30.0", "40.0", "60.0"], row[0][-8:-4])


class SumsTest(unittest.TestCase):
    """Without llvm-cov."""

    def test_lines_of_segments(self):
        def lines(*numbers):
            return coverage_report.count_lines([coverage_report.Segment(one) for one in numbers])

        self.assertEqual({}, lines())
        # A function in lines 1 to 4, with a region in line 2 that was never executed, and a comment in line 3.
        self.assertEqual({1: 5, 2: 5, 4: 5}, lines((1, 1, 5, True, True, False), (2, 9, 0, True, True, False),
                                                   (2, 12, 5, True, False, False), (3, 1, 0, False, True, False),
                                                   (3, 20, 5, True, False, False), (4, 2, 0, False, False, False)))
        # What begins in a line counts, not what went on there before.
        self.assertEqual({1: 1, 2: 9}, lines((1, 1, 1, True, True, False), (2, 1, 9, True, True, False),
                                             (2, 9, 0, False, False, False)))

    def test_paths(self):
        self.assertEqual("allocator/api/x.c", coverage_report.shorten("allocator/api/x.c", "allocator/"))
        self.assertEqual("allocator/api/x.c", coverage_report.shorten("/proc/self/cwd/allocator/api/x.c", "allocator/"))
        self.assertIsNone(coverage_report.shorten("tests/unit/x.cc", "allocator/"))

    def test_decided(self):
        files = {"allocator/a.c": coverage_report.FileCoverage()}
        text = "other.c:\n  |  Branch (3:4): [Folded - Ignored]\n/x/allocator/a.c:\n  |  Branch (5:6): [Folded - Ignored]\n" \
               "  |  Branch (7:8): [True: 0, False: 1]\n"
        coverage_report.read_decided(text, "allocator/", files)
        self.assertEqual({(5, 6)}, files["allocator/a.c"].decided)

    def test_percent(self):
        self.assertEqual("100.0", coverage_report.percent(7, 7))
        self.assertEqual(" 99.9", coverage_report.percent(9999, 10000))
        self.assertEqual("  0.0", coverage_report.percent(0, 3))
        self.assertEqual("    -", coverage_report.percent(0, 0))

    def test_layers_are_summed(self):
        def file(count):
            coverage = coverage_report.FileCoverage()
            coverage.lines = {1: count, 2: 1}
            return coverage

        groups = {"tests": {"allocator/a/x.c": file(0), "allocator/b/y.c": file(1)}, "corpus": {"allocator/a/x.c": file(1)}}
        rows = {line.split()[0]: line.split()[1:5] for line in coverage_report.summary(groups).splitlines() if line}
        self.assertEqual(["2", "50.0", "100.0", "100.0"], rows["allocator/a/x.c"])
        self.assertEqual(["2", "50.0", "100.0", "100.0"], rows["allocator/a"])
        self.assertEqual(["2", "100.0", "0.0", "100.0"], rows["allocator/b"])
        self.assertEqual(["4", "75.0", "50.0", "100.0"], rows["all"])


class ScriptTest(unittest.TestCase):
    def test_help(self):
        script = os.path.join(os.path.dirname(HERE), "coverage")
        text = subprocess.run([sys.executable, script, "--help"], check=True, stdout=subprocess.PIPE).stdout.decode()
        self.assertIn("summary.txt", text)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    PROGRAMS = [os.path.abspath(path) for path in sys.argv[1:3]]
    unittest.main(argv=sys.argv[:1])
