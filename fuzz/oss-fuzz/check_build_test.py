#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is no build at all is a problem that check_build.py names, without anything being built; build_test.py has the rest."""

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
import check_build  # noqa: E402 pylint: disable=wrong-import-position


def elf(rest):
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, check_build.ELF_X86_64) + rest


class NoBuild(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="check_build_test.")
        self.addCleanup(shutil.rmtree, self.directory)
        self.out = os.path.join(self.directory, "out")
        os.mkdir(self.out)

    def check(self, out=None, engine="libfuzzer"):
        return check_build.check_build(out or self.out, engine, "address", None)

    def put(self, name, data):
        path = os.path.join(self.out, name)
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, 0o755)

    def test_what_afl_found(self):
        self.assertIn("no fuzzer_stats", "".join(check_build.find_saved(self.directory)))
        os.mkdir(os.path.join(self.directory, "default"))
        for crashes, hangs, saved in ((0, 0, []), (1, 0, ["saved_crashes 1"]), (0, 20, ["saved_hangs 20"])):
            with open(os.path.join(self.directory, "default", "fuzzer_stats"), "w", encoding="utf-8") as stats:
                stats.write("execs_done        : 508\nsaved_crashes     : %d\nsaved_hangs       : %d\n" % (crashes, hangs))
            self.assertEqual(check_build.find_saved(self.directory), saved)

    def test_what_was_said(self):
        noise = ["==12==WARNING: x"] * 9 + ["==12==ERROR: x"] * 9
        said = check_build.tail("\n".join(noise + ["\rfuzz: oracle locks: y"] + ["    #1 z"] * 99 + ["the end"]))
        self.assertIn("fuzz: oracle locks: y", said)
        self.assertIn("the end", said)
        self.assertLess(said.count("\n"), 30)

    def test_no_directory(self):
        nowhere = os.path.join(self.directory, "nowhere")
        self.assertEqual(self.check(nowhere), ["file: %s: No such file or directory" % nowhere])
        self.put("file", b"")
        self.assertIn("Not a directory", "".join(self.check(os.path.join(self.out, "file"))))

    def test_as_a_program(self):
        command = [sys.executable, "-B", os.path.join(HERE, "check_build.py"), "--engine=libfuzzer", "--sanitizer=address"]
        done = subprocess.run(command + [os.path.join(self.directory, "nowhere")], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False, encoding="utf-8")
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertIn("1 problems", done.stdout)

    def test_files_that_are_no_programs(self):
        for data in (b"", b"\x7fELF", b"\x7fELF" + bytes(15), elf(b""), elf(bytes(4)), b"#!/bin/sh\n", b"x"):
            self.put("target", data)
            self.assertEqual(self.check(), ["target: file: no program for x86-64"], data)

    def test_programs_that_are_broken(self):
        with open("/bin/true", "rb") as file:
            program = file.read()
        for data in (elf(bytes(range(256)) * 8), elf(b"\xff" * 500), elf(bytes(500)) + check_build.ENTRY,
                     program[:700] + check_build.ENTRY, program[:64] + bytes(4000) + check_build.ENTRY):
            self.put("target", data)
            problems = self.check()
            self.assertTrue(problems)
            self.assertEqual({problem.split(": ")[0] for problem in problems}, {"target"}, problems)
            self.assertTrue({problem.split(": ")[1] for problem in problems} <= {"file", "entry", "linked", "sanitizer",
                                                                                 "startup", "corpus"}, problems)

    def test_a_program_that_does_not_start(self):
        self.assertIsNone(check_build.run([os.path.join(self.out, "nowhere")], self.out)[0])

    def test_options_that_are_no_text(self):
        self.put("options", b"[libfuzzer]\n\xff\xfe = 1\n")
        arguments, problems = check_build.read_options(os.path.join(self.out, "options"))
        self.assertEqual((arguments, len(problems)), ([], 1))
        self.put("options", b"[libfuzzer]\nmax_len = 100%\n")
        self.assertEqual(check_build.read_options(os.path.join(self.out, "options")), (["-max_len=100%"], []))

    def test_corpora_that_hold_nothing(self):
        archive = os.path.join(self.out, "corpus.zip")
        for number, name in enumerate(("folder/", "empty")):
            with zipfile.ZipFile(archive, "w") as seeds:
                seeds.writestr(name, b"")
            directory = os.path.join(self.directory, str(number))
            os.mkdir(directory)
            self.assertEqual(list(check_build.check_corpus("/bin/true", "afl", archive, [], directory)),
                             ["corpus: %s is empty" % archive])


if __name__ == "__main__":
    unittest.main()
