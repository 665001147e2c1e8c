#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs tools/format --check on the repository, and on files with one fault each, which it must report and mend.

The repository is found through this file: in Bazel's runfiles it is a link to the source.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOLS = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(TOOLS)
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


def run_format(*arguments):
    run = subprocess.run(["sh", os.path.join(TOOLS, "format")] + list(arguments), stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, universal_newlines=True, check=False)
    return run.returncode, run.stdout


class SmallTrees(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.root = self.directory.name
        shutil.copy(os.path.join(ROOT, ".clang-format"), self.root)
        self.write("good.c", SPDX + "int main(void) { return 0; }\n")

    def tearDown(self):
        self.directory.cleanup()

    def write(self, name, text):
        os.makedirs(os.path.dirname(os.path.join(self.root, name)), exist_ok=True)
        with open(os.path.join(self.root, name), "w", encoding="utf-8", newline="") as output:
            output.write(text)

    def read(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8", newline="") as source:
            return source.read()

    def expect(self, expected, name, text):
        self.write(name, text)
        code, output = run_format("--check", "--root", self.root)
        self.assertIn(expected, output)
        self.assertEqual(code, 1)
        self.assertEqual(self.read(name), text, "--check changed the file")

    def expect_mended(self, name, text):
        code, output = run_format("--root", self.root)
        self.assertEqual(code, 0, output)
        self.assertEqual(self.read(name), text)

    def test_good_files_pass(self):
        self.write("notes.md", "A page." * 100 + "\n")
        self.write("binary.bin", "\t \n")
        self.write(".hidden/bad.c", "int  x;\t\n")
        os.symlink(os.path.join(self.root, ".hidden"), os.path.join(self.root, "bazel-out"))
        code, output = run_format("--check", "--root", self.root)
        self.assertEqual(code, 0, output)
        self.assertIn("format: 3 files, 0 problems", output)

    def test_layout(self):
        for name in ("bad.c", "bad.h", "deep/er/bad.cc"):
            self.expect(name + ":2: not laid out as tools/format would", name, SPDX + "int  main( void ){return 0;}\n")
            self.expect_mended(name, SPDX + "int main(void) { return 0; }\n")

    def test_spaces(self):
        self.expect("a.py:2: space at the end of the line", "a.py", "#" + SPDX[2:] + "x = 1 \n")
        self.expect_mended("a.py", "#" + SPDX[2:] + "x = 1\n")

    def test_last_line(self):
        self.expect("BUILD.bazel: does not end with one newline", "BUILD.bazel", "#" + SPDX[2:] + "x = 1\n\n\n")
        self.expect_mended("BUILD.bazel", "#" + SPDX[2:] + "x = 1\n")

    def test_carriage_return(self):
        self.expect("a.bzl: has carriage returns", "a.bzl", "#" + SPDX[2:] + "x = 1\r\n")
        self.expect_mended("a.bzl", "#" + SPDX[2:] + "x = 1\n")

    def test_tab(self):
        self.expect("a.bzl:3: tab", "a.bzl", "#" + SPDX[2:] + "if x:\n\ty()\n")

    def test_spdx(self):
        self.expect("tools/run: no 'SPDX-License-Identifier: Apache-2.0' at the top", "tools/run", "#!/bin/sh\necho\n")

    def test_long_line(self):
        self.expect("long.c:2: 133 characters, more than 128", "long.c", SPDX + "// " + "x" * 130 + "\n")

    def test_nothing_to_look_at(self):
        with tempfile.TemporaryDirectory() as empty:
            code, output = run_format("--check", "--root", empty)
        self.assertIn("no source files", output)
        self.assertEqual(code, 1)


class Repository(unittest.TestCase):
    def test_sources(self):
        code, output = run_format("--check")
        print(output, file=sys.stderr)
        self.assertEqual(code, 0, "run tools/format and commit what it changes; mend by hand what it lists then")


if __name__ == "__main__":
    unittest.main()
