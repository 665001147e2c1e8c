#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the fuzz targets as OSS-Fuzz's builder would, moves what came out elsewhere and checks it.

    build_test.py libfuzzer address | libfuzzer undefined | libfuzzer memory | afl address
    build_test.py coverage          a build for coverage reports counts lines of allocator/
    build_test.py wrong_builds      what is built wrongly does not pass the check
    build_test.py wrong_files       nor does what is built well, with files beside it that are not good
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import builder  # noqa: E402 pylint: disable=wrong-import-position
import check_build  # noqa: E402 pylint: disable=wrong-import-position

PROGRAMS = os.path.join(builder.ROOT, "fuzz", "oss-fuzz", "programs.txt")
ELSEWHERE = "/tmp/not-out"
ENGINE, SANITIZER = "libfuzzer", "address"
# Of those that are built wrongly the one that takes least to build.
ONE = "options"
LLVM_COV, LLVM_PROFDATA = "llvm-cov-19", "llvm-profdata-19"


def all_targets():
    with open(PROGRAMS, encoding="utf-8") as lines:
        return sorted(line.split()[1] for line in lines if line.startswith("link "))


class Building(unittest.TestCase):
    def setUp(self):
        os.makedirs(ELSEWHERE, exist_ok=True)
        self.directory = tempfile.mkdtemp(prefix="oss_fuzz_build.")
        self.elsewhere = tempfile.mkdtemp(dir=ELSEWHERE)
        self.addCleanup(shutil.rmtree, self.directory)
        self.addCleanup(shutil.rmtree, self.elsewhere)

    def build(self, environment, targets=(), name="build"):
        """Where what was built is now: its own paths hold no more."""
        directory = os.path.join(self.directory, name)
        try:
            out = builder.build(directory, environment, targets)
        except subprocess.CalledProcessError as failed:
            self.fail(failed.stdout[-5000:])
        return shutil.move(out, os.path.join(self.elsewhere, name))

    def assert_finds(self, problems, word):
        self.assertEqual([problem.split(": ")[:2] for problem in problems], [[ONE, word]], "\n".join(problems))


class RightBuild(Building):
    def test_passes(self):
        out = self.build(builder.environment_of(ENGINE, SANITIZER))
        problems = check_build.check_build(out, ENGINE, SANITIZER, all_targets())
        self.assertEqual(problems, [], "\n".join(problems))
        self.assertIn("options.dict", os.listdir(out))


class CoverageBuild(Building):
    # threads counts what the instrumentation adds.
    TARGETS = [ONE, "threads"]

    def profile(self, out, target):
        """As OSS-Fuzz does: the corpus is merged into an empty one, which runs it even where an input crashes."""
        work = os.path.join(self.directory, target)
        corpus, empty = os.path.join(work, "corpus"), os.path.join(work, "empty")
        os.makedirs(empty)
        with zipfile.ZipFile(os.path.join(out, target + "_seed_corpus.zip")) as archive:
            archive.extractall(corpus)
        status, text = check_build.run([os.path.join(out, target), "-merge=1", "-timeout=100", empty, corpus], work,
                                       {"LLVM_PROFILE_FILE": os.path.join(work, "%1m.profraw")})
        self.assertEqual(status, 0, text[-3000:])
        self.assertIn("MERGE-OUTER: successful in 1 attempt(s)", text, "an input crashes")
        return [os.path.join(work, name) for name in os.listdir(work) if name.endswith(".profraw")]

    def lines_of_allocator(self, out, target):
        """covered, count, and the number of files"""
        merged = os.path.join(self.directory, target + ".profdata")
        subprocess.run([LLVM_PROFDATA, "merge", "-sparse", "-o", merged, *self.profile(out, target)], check=True)
        export = [LLVM_COV, "export", "-summary-only", "-instr-profile=" + merged, "-object", os.path.join(out, target)]
        report = json.loads(subprocess.check_output(export))
        source = os.path.join(self.directory, "build", "src", "hakmem", "allocator", "")
        lines = [file["summary"]["lines"] for file in report["data"][0]["files"] if file["filename"].startswith(source)]
        return sum(line["covered"] for line in lines), sum(line["count"] for line in lines), len(lines)

    def test_counts_lines(self):
        for program in (LLVM_COV, LLVM_PROFDATA):
            builder.need(program, "llvm-19")
        out = self.build(builder.environment_of("libfuzzer", "coverage"), self.TARGETS)
        for target in self.TARGETS:
            covered, count, files = self.lines_of_allocator(out, target)
            print("coverage: %s: %d of %d lines of allocator/ in %d files" % (target, covered, count, files))
            # The corpora reach more than half.
            self.assertGreater(files, 20)
            self.assertGreater(covered, count / 4)


class WrongBuilds(Building):
    """Each would be a build that fuzzes nothing, or not what was asked for."""

    def problems_of(self, change, name):
        environment = builder.environment_of("libfuzzer", "address")
        change(environment)
        out = self.build(environment, [ONE], name)
        return check_build.check_build(out, "libfuzzer", "address", [ONE])

    def object_of(self, name, code):
        source, built = (os.path.join(self.directory, name + suffix) for suffix in (".c", ".o"))
        with open(source, "w", encoding="utf-8") as file:
            file.write(code)
        subprocess.run([builder.CLANG, "-c", source, "-o", built], check=True)
        return built

    def test_without_sanitizer(self):
        def change(environment):
            for name in ("CFLAGS", "CXXFLAGS"):
                environment[name] = environment[name].replace("-fsanitize=address ", "")
        self.assert_finds(self.problems_of(change, "sanitizer"), "sanitizer")

    def test_without_engine(self):
        def change(environment):
            environment["LIB_FUZZING_ENGINE"] = self.object_of("no_engine", "int main(void) { return 0; }\n")
        self.assert_finds(self.problems_of(change, "engine"), "engine")

    def test_without_coverage(self):
        def change(environment):
            environment["CFLAGS"] = environment["CFLAGS"].replace(" -fsanitize=fuzzer-no-link", "")
        self.assert_finds(self.problems_of(change, "coverage"), "coverage")

    def test_crash_at_start(self):
        def change(environment):
            crash = "__attribute__((constructor)) static void crash(void) { __builtin_trap(); }\n"
            environment["LIB_FUZZING_ENGINE"] += " " + self.object_of("crash", crash)
        self.assert_finds(self.problems_of(change, "crash"), "startup")


class WrongFiles(Building):
    """One good build, and what beside it can be wrong."""

    def setUp(self):
        super().setUp()
        self.out = self.build(builder.environment_of("libfuzzer", "address"), [ONE])
        self.archive = os.path.join(self.out, ONE + "_seed_corpus.zip")

    def check(self):
        return check_build.check_build(self.out, "libfuzzer", "address", [ONE])

    def write(self, name, text):
        with open(os.path.join(self.out, name), "w", encoding="utf-8") as file:
            file.write(text)

    def test_files(self):
        self.assertEqual(self.check(), [])
        problems = check_build.check_build(self.out, "libfuzzer", "memory", [ONE])
        self.assertEqual({problem.split(": ")[1] for problem in problems}, {"sanitizer"}, "\n".join(problems))
        self.assertEqual(len(problems), 2)
        self.write(ONE + ".options", "[libfuzzer]\nmax_len = 10\nmax_lenght = 10\n")
        self.assert_finds(self.check(), "options")
        self.write(ONE + ".options", "[libfuzer]\nmax_len = 10\n")
        self.assert_finds(self.check(), "options")
        os.remove(os.path.join(self.out, ONE + ".options"))
        self.write(ONE + ".dict", "word\n")
        self.assertIn("dictionary", " ".join(self.check()))
        os.remove(os.path.join(self.out, ONE + ".dict"))
        with zipfile.ZipFile(self.archive, "w"):
            pass
        self.assert_finds(self.check(), "corpus")
        os.remove(self.archive)
        self.assert_finds(self.check(), "corpus")


if __name__ == "__main__":
    MODE = sys.argv[1]
    CLASSES = {"coverage": [CoverageBuild], "wrong_builds": [WrongBuilds], "wrong_files": [WrongFiles]}
    if MODE not in CLASSES:
        ENGINE, SANITIZER = sys.argv[1:3]
    LOADER = unittest.TestLoader()
    SUITE = unittest.TestSuite(LOADER.loadTestsFromTestCase(case) for case in CLASSES.get(MODE, [RightBuild]))
    sys.exit(not unittest.TextTestRunner(verbosity=2).run(SUITE).wasSuccessful())
