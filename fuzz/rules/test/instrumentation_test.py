#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what the lists of copts leave of coverage and of a sanitizer in an object, with the flags of either engine.

Bazel passes NAME=ARCHIVES, which are separated by spaces, for each way in which toy_model.c is built.
"""

import re
import shutil
import subprocess
import sys
import unittest

ARCHIVES = {}


def symbols(name):
    # Also those that are defined in the object, and the sections.
    nm = subprocess.check_output(["nm"] + ARCHIVES[name], universal_newlines=True)
    sections = subprocess.check_output(["objdump", "-h"] + ARCHIVES[name], universal_newlines=True)
    return nm + sections


def has_coverage(name):
    return re.search(r"__sanitizer_cov|__sancov|sancov\.", symbols(name)) is not None


def has_sanitizer(name):
    return "__asan" in symbols(name)


class InstrumentationTest(unittest.TestCase):
    def check(self, library, coverage, sanitizer):
        for engine in ["afl", "libfuzzer"]:
            name = "%s_for_%s" % (library, engine)
            self.assertIn("toy_model_sum", symbols(name))
            self.assertEqual(has_coverage(name), coverage, name)
            self.assertEqual(has_sanitizer(name), sanitizer, name)

    def test_all_without_copts(self):
        self.check("toy_model_with_all", True, True)

    def test_without_coverage(self):
        self.check("toy_model_with_sanitizer", False, True)

    def test_uninstrumented(self):
        self.check("toy_model", False, False)


if __name__ == "__main__":
    for program in ["nm", "objdump"]:
        if shutil.which(program) is None:
            sys.exit("%s is missing: apt-get install binutils" % program)
    for argument in sys.argv[1:]:
        library, archives = argument.split("=", 1)
        ARCHIVES[library] = archives.split()
    unittest.main(argv=sys.argv[:1], verbosity=2)
