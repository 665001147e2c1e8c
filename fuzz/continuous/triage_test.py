#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Crashes are run again, made smaller, told apart and written down; scripts in place of the engines."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "seeded")]

import files  # noqa: E402
import replay  # noqa: E402
from shared_corpus_test import WithTarget  # noqa: E402
from triage import Triage  # noqa: E402


class Crashes(WithTarget):
    def setUp(self):
        super().setUp()
        os.environ["FAKE_DIRECTORY"] = self.state
        self.addCleanup(os.environ.pop, "FAKE_DIRECTORY", None)
        self.is_to_end = False
        self.triage = Triage(self.target, self.corpus, lambda instance: replay.Replayer(
            instance, self.state, 4096, lambda: self.is_to_end), self.instances["libfuzzer_structured"], 20, "build")

    def put(self, instance, text, kind="crash"):
        data = text.encode("ascii")
        path = os.path.join(self.instances[instance].artifacts, "%s-%s" % (kind, files.sha1_of(data)))
        files.write(path, data)
        return path

    def run_triage(self, instance="libfuzzer_asan"):
        return self.triage.run(self.instances[instance], lambda: False)

    def record(self, identity, directory=None):
        return files.read_json(os.path.join(directory or self.target.crashes, identity, "crash.json"))

    def test_one_is_made_smaller_and_written_down(self):
        self.corpus.add(b"1 2 3 4 BADzero 5")
        path = self.put("libfuzzer_asan", "1 2 3 4 BADzero 5")
        [identity] = self.run_triage()
        directory, record = os.path.join(self.target.crashes, identity), self.record(identity)
        self.assertEqual(files.read(os.path.join(directory, "input")), b"BADzero")
        self.assertEqual(files.read(os.path.join(directory, "original")), b"1 2 3 4 BADzero 5")
        self.assertEqual(files.read(os.path.join(directory, "regress", "one", "zero_" + identity)), b"BADzero")
        self.assertEqual((record["found_by"], record["kind"], record["times"], record["reproduced"], record["replays"]),
                         ("libfuzzer_asan", "crash", 1, 3, 3))
        self.assertTrue(record["summary"].startswith("oracle zero: block"))
        for field in ("input", "list", "program", "regression"):
            self.assertTrue(os.path.isfile(os.path.join(self.state, record[field])), field)
        self.assertFalse(os.path.exists(path))
        # It would end every engine that reads it.
        self.assertEqual((self.corpus.names(), len(files.entries(self.target.failing))), ([], 1))

    def test_the_same_bug_only_counts_up(self):
        self.put("libfuzzer_asan", "1 BADzero")
        [identity] = self.run_triage()
        self.put("libfuzzer_asan", "1 BADzero")
        self.put("libfuzzer_asan", "2 BADzero")
        self.put("libfuzzer_bytes", "7 8 BADzero")
        self.assertEqual(self.run_triage() + self.run_triage("libfuzzer_bytes"), [])
        self.assertEqual(os.listdir(self.target.crashes), [identity])
        # The input that was met before, by the same engine, is no news.
        self.assertEqual(self.record(identity)["times"], 3)

    def test_another_bug_is_another_directory(self):
        self.put("libfuzzer_asan", "1 BADzero")
        self.put("libfuzzer_asan", "1 BADcontent")
        self.assertEqual(len(set(self.run_triage())), 2)

    def test_what_does_not_fail_each_time_is_kept_apart(self):
        for text, failed in (("1 SOMETIMESzero", (1, 2)), ("1 2", (0,))):
            self.put("libfuzzer_asan", text)
            [identity] = self.run_triage()
            self.assertIn(self.record(identity, self.target.unreproducible)["reproduced"], failed)
            self.assertIsNone(self.record(identity, self.target.unreproducible)["regression"])
        self.assertEqual(os.listdir(self.target.crashes), [])

    def test_minimisation_that_slips_to_another_bug(self):
        os.environ["FAKE_SLIP"] = "BADx"
        self.addCleanup(os.environ.pop, "FAKE_SLIP", None)
        self.put("libfuzzer_bytes", "1 BADzero")
        [first] = self.run_triage("libfuzzer_bytes")
        self.assertIn(b"BADzero", files.read(os.path.join(self.target.crashes, first, "input")))
        del os.environ["FAKE_SLIP"]
        [second] = self.run_triage("libfuzzer_bytes")
        self.assertEqual(files.read(os.path.join(self.target.crashes, second, "input")), b"BADx")

    def test_too_slow(self):
        self.put("libfuzzer_bytes", "LONG 1", "timeout")
        [identity] = self.run_triage("libfuzzer_bytes")
        self.assertEqual(self.record(identity)["kind"], "timeout")

    def test_what_afl_found(self):
        instance = self.instances["afl_bytes"]
        for folder, name in (("crashes", "id:000000,sig:06"), ("crashes.2026", "id:000000,sig:11"), ("hangs", "README.txt")):
            directory = os.path.join(instance.afl_directory, folder)
            os.makedirs(directory)
            files.write(os.path.join(directory, name), "1 BAD%s" % folder[7:].replace(".", ""))
        self.assertEqual(len(self.run_triage("afl_bytes")), 2)
        self.assertEqual(files.entries(os.path.join(instance.afl_directory, "hangs")), ["README.txt"])

    def test_one_that_is_interrupted_waits(self):
        path = self.put("libfuzzer_asan", "1 BADzero")
        self.triage.run(self.instances["libfuzzer_asan"], lambda: True)
        self.assertTrue(os.path.exists(path))
        self.assertEqual(os.listdir(self.target.crashes), [])

    def test_half_a_directory_is_none(self):
        os.makedirs(os.path.join(self.target.crashes, ".new-0123"))
        self.put("libfuzzer_asan", "1 BADzero")
        [identity] = self.run_triage()
        self.assertTrue(self.record(identity))


class Reduce(unittest.TestCase):
    def reduce(self, data, is_wanted, *more):
        return replay.reduce(data, is_wanted, lambda: False, *more)

    def test_leaves_out_whole_operations(self):
        header, first, second = b"HHHHHHHH", b"aaaa", b"bbbb"
        data = header + b"1111" * 9 + first + b"2222" * 30 + second + b"333"
        tried = []

        def is_wanted(candidate):
            tried.append(candidate)
            return first in candidate and second in candidate and candidate.index(first) % 4 == 0

        self.assertEqual(self.reduce(data, is_wanted), header + first + second)
        self.assertLess(len(tried), 120)

    def test_bytes(self):
        self.assertEqual(self.reduce(b"xxAyyyyB", lambda data: b"A" in data and b"B" in data, 1, 0), b"AB")

    def test_ends_when_it_is_to(self):
        self.assertEqual(replay.reduce(b"HHHHHHHHaaaa", lambda _: True, lambda: True), b"HHHHHHHHaaaa")

    def test_what_is_all_needed_stays(self):
        self.assertEqual(self.reduce(b"HHHHHHHHaaaabbbb", lambda _: False), b"HHHHHHHHaaaabbbb")


if __name__ == "__main__":
    unittest.main()
