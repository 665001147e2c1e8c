#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that the engines pass a good corpus, name the file that a bad one fails on, and find a crash that was planted.

The toys are those of BUILD.bazel; NAME_ENGINE_SANITIZER_run is their launcher with one engine.
"""

import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
REPLAYS = ["replay_none", "replay_asan"]
ENGINES = ["libfuzzer_asan", "afl_none", "afl_asan"]
# For the slowest machine; none comes near it.
LIMIT = 120


def start(name, *arguments, **environment):
    return subprocess.Popen([os.path.join(HERE, name)] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            env=dict(os.environ, **environment))


def run(name, *arguments, **environment):
    """Returns the status and what was said."""
    with start(name, *arguments, **environment) as process:
        output, _ = process.communicate(timeout=LIMIT)
    return process.returncode, output.decode(errors="replace")


class Directory(unittest.TestCase):
    """A test with a directory for its files."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
        self.addCleanup(shutil.rmtree, self.directory)

    def write(self, name, data):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as output:
            output.write(data)
        return path


class RegressionTest(unittest.TestCase):
    def check_good(self, *command):
        status, output = run(*command)
        self.assertEqual(status, 0, output)
        return output

    def check_bad(self, *command):
        status, output = run(*command)
        self.assertNotEqual(status, 0, output)
        self.assertRegex(output, r"while running \S*/toy_bad_corpus/bad_corpus-crashing_input\n")

    def test_good_corpus(self):
        self.check_good("toy")
        for engine in REPLAYS:
            self.assertIn("replay: 2 inputs", self.check_good("toy_%s_run" % engine, "--regression"))
        for engine in ENGINES:
            self.check_good("toy_%s_run" % engine, "--regression")

    def test_no_corpus(self):
        self.check_good("toy_ways")
        for engine in REPLAYS:
            self.assertIn("replay: 1 inputs", self.check_good("toy_ways_%s_run" % engine, "--regression"))
        for engine in ENGINES:
            self.check_good("toy_ways_%s_run" % engine, "--regression")

    def test_bad_corpus(self):
        self.check_bad("toy_bad")
        for engine in REPLAYS + ENGINES:
            self.check_bad("toy_bad_%s_run" % engine, "--regression")


class ReplayTest(Directory):
    """What ends the target, and with what words."""

    def binary(self, engine):
        return "toy_ways_%s_bin" % engine

    def check(self, engine, letter, words):
        good, bad = self.write("a", b""), self.write("dir/bad", letter)
        never = self.write("z", b"")
        status, output = run(self.binary(engine), good, os.path.dirname(bad), never)
        self.assertNotEqual(status, 0, output)
        self.assertIn("replay: %s while running %s\n" % (words, bad), output)
        self.assertEqual(output.count("while running"), 1, output)
        return output

    def test_signals(self):
        for letter, number in [(b"a", signal.SIGABRT), (b"i", signal.SIGILL), (b"o", signal.SIGSEGV),
                               (b"s", signal.SIGSEGV), (b"t", signal.SIGTRAP)]:
            for engine in REPLAYS:
                self.check(engine, letter, "signal %02d" % number)

    def test_exit(self):
        for engine in REPLAYS:
            self.check(engine, b"e", "exit()")

    def test_sanitizer(self):
        output = self.check("replay_asan", b"r", "a sanitizer's report")
        self.assertIn("heap-buffer-overflow", output)

    def test_sanitizer_reports_signal(self):
        output = self.check("replay_asan", b"s", "signal 11")
        self.assertIn("SEGV on unknown address 0x000000000008", output)

    def test_ended_from_outside(self):
        bad = self.write("bad", b"h")
        with start(self.binary("replay_none"), bad) as process:
            # Until it is at it: asleep, in a system call.
            deadline = time.monotonic() + LIMIT
            while b"nanosleep" not in self.waits_in(process.pid) and time.monotonic() < deadline:
                time.sleep(0.01)
            process.terminate()
            output = process.communicate(timeout=LIMIT)[0].decode()
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.assertIn("ended from outside while running %s\n" % bad, output)

    @staticmethod
    def waits_in(pid):
        with open("/proc/%d/wchan" % pid, "rb") as file:
            return file.read()

    def test_missing_file(self):
        status, output = run(self.binary("replay_none"), os.path.join(self.directory, "missing"))
        self.assertNotEqual(status, 0)
        self.assertIn("missing: No such file or directory", output)

    def test_order_and_count(self):
        for name in ["b/2", "a/1", "c"]:
            self.write(name, b"x")
        status, output = run(self.binary("replay_none"), self.directory)
        self.assertEqual((status, output), (0, "replay: 3 inputs\n"))


class FuzzTest(Directory):
    def fuzz(self, name, *arguments, **environment):
        """Until it finds a crash. Returns the file."""
        status, output = run(name, "--fuzzing_output_root=" + self.directory, "--timeout_secs=60", *arguments,
                             AFL_BENCH_UNTIL_CRASH="1", AFL_NO_UI="1", **environment)
        self.assertNotEqual(status, 0, output)
        found = re.findall(r"^fuzz: found (\S+)$", output, re.MULTILINE)
        self.assertEqual(len(found), 1, output)
        self.assertEqual(os.path.dirname(found[0]), os.path.join(self.directory, "artifacts"))
        self.assertRegex(os.path.basename(found[0]), "^crash-[0-9a-f]{40}$")
        # The command that is given to see it again.
        again = re.search(r"^    again: (.*)$", output, re.MULTILINE).group(1).split()
        self.assertEqual(again[-1], found[0])
        with open(os.devnull, "wb") as nothing:
            self.assertNotEqual(subprocess.call(again, stdout=nothing, stderr=nothing), 0)
        with open(found[0], "rb") as file:
            return file.read()

    def test_finds_planted_crash(self):
        for engine in ENGINES:
            shutil.rmtree(self.directory)
            self.assertTrue(self.fuzz("toy_%s_run" % engine).startswith(b"FUZZ!"), engine)
            # What was new on the way is there for the next run, of whichever engine.
            corpus = glob.glob(os.path.join(self.directory, "corpus", "*"))
            self.assertTrue(corpus)
            self.assertTrue(all(re.fullmatch("[0-9a-f]{40}", os.path.basename(file)) for file in corpus), corpus)

    def test_finds_it_again(self):
        for engine in ENGINES:
            shutil.rmtree(self.directory)
            self.fuzz("toy_%s_run" % engine)
            self.fuzz("toy_%s_run" % engine, "--clean")

    def test_custom_mutator(self):
        data = self.fuzz("toy_secret_afl_none_run", AFL_CUSTOM_MUTATOR_ONLY="1")
        self.assertTrue(data.startswith(b"a word of many letters"), data)

    def test_without_crash(self):
        for engine in ["libfuzzer_asan", "afl_none"]:
            shutil.rmtree(self.directory)
            status, output = run("toy_%s_run" % engine, "--fuzzing_output_root=" + self.directory, "--timeout_secs=60", "--",
                                 *(["-runs=3"] if engine == "libfuzzer_asan" else ["-E", "3"]))
            self.assertEqual(status, 0, output)
            self.assertIn("fuzz: found nothing", output)

    def test_wrong_flag(self):
        status, output = run("toy_libfuzzer_asan_run", "--timeout=3")
        self.assertEqual(status, 2, output)


if __name__ == "__main__":
    unittest.main(verbosity=2)
