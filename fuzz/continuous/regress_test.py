#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""regress.py with scripts in place of the targets' programs, and with a real one."""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import regress  # noqa: E402

PASSES = "exit 0"
# The last argument is the input.
FAILS = 'for file; do :; done; if grep -q bad "$file"; then echo "fuzz: oracle content: byte 7 (operation 3, x, y)"; ' \
        "kill -ABRT $$; fi"
REAL = ""


class Regress(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.programs = os.path.join(self.temporary.name, "fuzz")
        self.crashes = os.path.join(self.temporary.name, "state", "one", "crashes")
        for target in ("one", "two"):
            for _, _, suffix in regress.PROGRAMS:
                self.make(target + suffix, PASSES)
        for name, text in (("0123456789ab", "bad"), ("ba9876543210", "good")):
            os.makedirs(os.path.join(self.crashes, name))
            with open(os.path.join(self.crashes, name, "input"), "w", encoding="utf-8") as file:
                file.write(text)

    def tearDown(self):
        self.temporary.cleanup()

    def make(self, name, script):
        os.makedirs(self.programs, exist_ok=True)
        path = os.path.join(self.programs, name + "_bin")
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n%s\n" % script)
        os.chmod(path, 0o755)

    def run_it(self, *names, wanted=None, seconds=60):
        """passed, the rows without the heading."""
        shown = []
        paths = [os.path.join(self.crashes, name) for name in names]
        passed = regress.regress(self.programs, paths, wanted, seconds, shown.append)
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown[0].splitlines()]
        self.assertEqual(["target", "input", "engine", "sanitizer", "result"], rows[0])
        return passed, rows[2:]

    def test_all_pass(self):
        passed, rows = self.run_it("0123456789ab", "ba9876543210")
        self.assertTrue(passed)
        self.assertEqual([["one", name, engine, sanitizer, "ok"] for name in ("0123456789ab", "ba9876543210")
                          for engine, sanitizer, _ in regress.PROGRAMS], rows)

    def test_each_program_that_fails_is_told(self):
        for engine, sanitizer, suffix in regress.PROGRAMS:
            self.make("one" + suffix, FAILS)
            passed, rows = self.run_it("0123456789ab", "ba9876543210")
            self.assertFalse(passed)
            wrong = [row for row in rows if row[4] != "ok"]
            self.assertEqual([["one", "0123456789ab", engine, sanitizer]], [row[:4] for row in wrong])
            self.assertIn("crash: oracle content: byte 7", wrong[0][4])
            self.make("one" + suffix, PASSES)

    def test_what_does_not_end(self):
        self.make("one_replay_none", "sleep 1000")
        self.make("one_soak_libfuzzer", "exit 70")
        self.make("one_soak_asan", "exit 71")
        passed, rows = self.run_it("ba9876543210", seconds=1)
        self.assertFalse(passed)
        self.assertEqual(["timeout", "ok", "ok", "timeout", "memory", "ok"], [row[4].split(":")[0] for row in rows])

    def test_the_target(self):
        passed, rows = self.run_it("ba9876543210", wanted="two")
        self.assertTrue(passed)
        self.assertEqual({"two"}, {row[0] for row in rows})
        file = os.path.join(self.crashes, "ba9876543210", "input")
        self.assertEqual("one", regress.target_of(file, ["one", "two"], None))
        for path, wanted in (("/somewhere/else", None), (file, "three")):
            with self.assertRaises(regress.Failure):
                regress.target_of(path, ["one", "two"], wanted)

    def test_the_status_of_the_program(self):
        # Its programs are beside the folder that it is started in.
        script = os.path.join(self.programs, "continuous", "regress.py")
        os.mkdir(os.path.dirname(script))
        os.symlink(os.path.join(HERE, "regress.py"), script)
        command = [sys.executable, "-B", script, os.path.join(self.crashes, "0123456789ab")]
        self.assertEqual(0, subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode)
        self.make("one_replay_asan", FAILS)
        self.assertEqual(1, subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode)

    def test_a_program_that_cannot_be_run(self):
        path = os.path.join(self.crashes, "ba9876543210", "input")
        program = os.path.join(self.programs, "one_replay_asan_bin")
        script = os.path.join(self.programs, "continuous", "regress.py")
        os.mkdir(os.path.dirname(script))
        os.symlink(os.path.join(HERE, "regress.py"), script)
        for change, words in ((lambda: self.make("one_replay_asan", "exit 126"), "status 126"),
                              (lambda: self.make("one_replay_asan", "exec nowhere"), "status 127"),
                              (lambda: os.chmod(program, 0o644), "there is no program"),
                              (lambda: os.unlink(program), "there is no program"),
                              (lambda: self.write_program(program, "\x7fELF"), "cannot be run")):
            change()
            with self.assertRaises(regress.Failure) as raised:
                self.run_it("ba9876543210")
            self.assertIn(words, str(raised.exception))
            result = subprocess.run([sys.executable, "-B", script, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    check=False, encoding="utf-8")
            self.assertEqual((2, 1), (result.returncode, result.stderr.count("\n")), result.stderr)
            self.assertIn(words, result.stderr)

    @staticmethod
    def write_program(path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def test_as_a_program(self):
        """Where there are no programs, and where there is no input."""
        script = [sys.executable, "-B", os.path.join(HERE, "regress.py")]
        for arguments in ([self.crashes], ["--target=one", "nowhere"]):
            result = subprocess.run(script + arguments, stderr=subprocess.PIPE, check=False, encoding="utf-8")
            self.assertEqual(2, result.returncode)
            self.assertNotIn("Traceback", result.stderr)
        with self.assertRaises(regress.Failure):
            self.run_it("nothing")

    def test_a_real_program(self):
        path = os.path.join(self.temporary.name, "input")
        for text, kind in (("", None), ("a", "crash"), ("i", "crash"), ("s", "crash"), ("h", "timeout")):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            self.assertEqual(kind, regress.run_input(REAL, "replay", path, 1 if text == "h" else 60).kind, text)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("regress_test.py PROGRAM")
    REAL = os.path.abspath(sys.argv[1])
    unittest.main(argv=sys.argv[:1])
