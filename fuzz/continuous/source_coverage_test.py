#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What corpora execute, on a toy target whose inputs end in all ways.

    source_coverage_test.py PROGRAM SOURCE
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import source_coverage  # noqa: E402

PROGRAM, SOURCE = "", ""
FILE = "fuzz/rules/test/toy_ways.c"


class SourceCoverage(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.directory = self.temporary.name

    def tearDown(self):
        self.temporary.cleanup()

    def put(self, target, *inputs):
        corpus = os.path.join(self.directory, target, "corpus")
        os.makedirs(corpus, exist_ok=True)
        for text in inputs:
            with open(os.path.join(corpus, "of_" + text), "w", encoding="utf-8") as file:
                file.write(text)

    def collect(self, targets=("toy",), seconds=60):
        """covered, lines, what was told"""
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            found = source_coverage.collect(self.directory, {target: PROGRAM for target in targets}, FILE, seconds)
        self.assertEqual([FILE], [file["path"] for file in found["files"]])
        return found["files"][0]["covered"], found["files"][0]["lines"], told.getvalue()

    def test_without_a_corpus(self):
        found = source_coverage.collect(self.directory, {"toy": PROGRAM}, FILE)
        self.assertEqual([], found["files"])

    def test_counts_lines(self):
        with open(SOURCE, encoding="utf-8") as file:
            source = file.read().split("\n")
        first = source.index("int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {")
        self.put("toy", "x")
        covered, lines, told = self.collect()
        self.assertEqual("", told)
        # All of the function but what lies below its ten cases, of which each has its own line; and overflow_stack, of six
        # lines, is not called.
        self.assertEqual(len(source[first:-1]) + 6, lines)
        # The head, the first line, switch, the end of switch, return, the end of the function.
        self.assertEqual(6, covered)

    def test_more_inputs_and_targets_cover_more(self):
        self.put("toy", "x")
        alone, lines, _ = self.collect()
        self.put("toy", "r")
        self.put("other", "t")
        both, same, told = self.collect(("toy", "other"))
        self.assertEqual(lines, same)
        # Three lines of each case, also of 't', where raise ends the process: llvm-cov knows counts of regions alone.
        self.assertEqual(alone + 3 + 3, both)
        self.assertEqual("source_coverage: other fails on of_t\n", told)

    def test_goes_on_after_what_fails(self):
        self.put("toy", "a", "e", "i", "s", "r")
        covered, _, told = self.collect()
        self.assertEqual(["of_a", "of_e", "of_i", "of_s"], [line.split()[-1] for line in told.splitlines()])
        self.put("later", "r")
        without, _, _ = self.collect(("later",))
        self.assertGreater(covered, without)

    def test_what_does_not_end(self):
        self.put("toy", "h", "r")
        _, _, told = self.collect(seconds=1)
        self.assertEqual("source_coverage: toy fails on of_h\n", told)

    def test_all_fail(self):
        self.put("toy", *("a%d" % number for number in range(source_coverage.FAILING_MOST + 1)))
        with self.assertRaises(source_coverage.Failure):
            self.collect()

    def test_no_program_of_its_kind(self):
        with self.assertRaises(source_coverage.Failure):
            source_coverage.find_programs(self.directory)

    def test_as_a_program(self):
        self.put("toy_ways", "r")
        script = os.path.join(HERE, "source_coverage.py")
        command = [sys.executable, "-B", script, "--state=" + self.directory, "--programs=" + os.path.dirname(PROGRAM)]
        output = subprocess.run(command, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
        # Below allocator/ the toy has nothing.
        self.assertEqual("0 of 0 lines in 0 files\n", output)
        with open(os.path.join(self.directory, "source_coverage.json"), encoding="utf-8") as file:
            self.assertEqual([], json.load(file)["files"])
        self.assertEqual(["source_coverage.json", "toy_ways"], sorted(os.listdir(self.directory)))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    PROGRAM, SOURCE = (os.path.abspath(path) for path in sys.argv[1:3])
    unittest.main(argv=sys.argv[:1])
