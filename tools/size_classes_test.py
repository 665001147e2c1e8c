#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that the tables are what size_classes.py writes, and that the generator's own checks can fail."""

import os
import subprocess
import sys
import tempfile
import unittest

TOOLS = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, TOOLS)

import size_classes  # noqa: E402

PRODUCTION = size_classes.GEOMETRIES["production"]


def header_of(geometry):
    return os.path.join(os.path.dirname(TOOLS), size_classes.GEOMETRIES[geometry].header)


def check(geometry, header):
    command = [sys.executable, os.path.join(TOOLS, "size_classes.py"), "--check"]
    run = subprocess.run(command + ["--geometry", geometry, "--header", header],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, check=False)
    return run.returncode, run.stdout


class SizeClasses(unittest.TestCase):
    def test_headers_are_generated(self):
        for geometry in size_classes.GEOMETRIES:
            code, output = check(geometry, header_of(geometry))
            self.assertEqual(code, 0, output)

    def test_edited_header_is_reported(self):
        with open(header_of("production"), encoding="ascii") as header:
            text = header.read()
        with tempfile.TemporaryDirectory() as directory:
            edited = os.path.join(directory, "table.h")
            with open(edited, "w", encoding="ascii") as output:
                output.write(text.replace("X(2, 32, ", "X(2, 48, "))
            code, output = check("production", edited)
        self.assertEqual(code, 1)
        self.assertIn("-  X(2, 48, 1, 2047", output)
        self.assertIn("+  X(2, 32, 1, 2047", output)

    def test_run_that_is_too_short(self):
        size_class = size_classes.SizeClass(PRODUCTION, 1, 8208, 16)
        size_class.check()
        size_class.blocks += 1
        self.assertRaisesRegex(AssertionError, "runs over the end of its run", size_class.check)
        size_class.blocks -= 2
        self.assertRaisesRegex(AssertionError, "leaves out a block", size_class.check)

    def test_run_that_wastes_too_much(self):
        size_class = size_classes.SizeClass(PRODUCTION, 1, 32784, 16)
        size_class.run_slabs, size_class.run_bytes = 5, 5 * PRODUCTION.slab_bytes
        size_class.blocks = size_class.blocks_in(5)
        self.assertRaisesRegex(AssertionError, "wastes too much", size_class.check)

    def test_reciprocals(self):
        """Against division, for every offset, with the strides that are hardest."""
        for stride in (48, 4112, 32784):
            size_class = size_classes.SizeClass(PRODUCTION, 1, stride, 16)
            shift = size_classes.choose_reciprocals([size_class])
            for offset in range(0, size_class.run_bytes, 7):
                self.assertEqual((offset * size_class.reciprocal) >> shift, offset // stride)
        self.assertFalse(size_classes.reciprocal_is_exact(32784, -(-(1 << 24) // 32784), 24, 1 << 20))
        self.assertFalse(size_classes.reciprocal_is_exact(48, (1 << 35) // 48, 35, 1 << 16))


if __name__ == "__main__":
    unittest.main()
