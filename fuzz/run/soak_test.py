#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""soak.py with scripts in place of the engines."""

import contextlib
import io
import json
import os
import sys
import tempfile
import types
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import soak  # noqa: E402

# What the launcher is given: the output root, the seconds.
BUSY = 'root=${1#--fuzzing_output_root=}; mkdir -p "$root/corpus" "$root/artifacts"; i=0; ' \
       'while [ $i -lt 20000 ]; do i=$((i + 1)); done; '
FINDS = BUSY + 'echo bad > "$root/artifacts/crash-1"; exit 1'


class Soak(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.programs = os.path.join(self.temporary.name, "programs")
        self.state = os.path.join(self.temporary.name, "state")
        os.mkdir(self.programs)
        self.least = soak.LEAST_SLICE_SECONDS
        soak.LEAST_SLICE_SECONDS = 0

    def tearDown(self):
        soak.LEAST_SLICE_SECONDS = self.least
        self.temporary.cleanup()

    def make(self, target, engine, launcher=BUSY, binary="exit 0"):
        for suffix, text in (("run", launcher), ("bin", binary)):
            path = os.path.join(self.programs, "%s_soak_%s_%s" % (target, engine, suffix))
            with open(path, "w", encoding="utf-8") as script:
                script.write("#!/bin/sh\n%s\n" % text)
            os.chmod(path, 0o755)

    def soak(self, minutes=0.01, jobs=2):
        output = io.StringIO()
        options = types.SimpleNamespace(minutes=minutes, slice=1, jobs=jobs)
        with contextlib.redirect_stdout(output):
            status = soak.soak(self.state, soak.find_pairs(self.programs), options)
        with open(os.path.join(self.state, "soak.json"), encoding="utf-8") as file:
            return status, output.getvalue(), json.load(file)

    def test_adds_up(self):
        self.make("one", "afl")
        self.make("two", "asan")
        status, text, first = self.soak()
        self.assertEqual(status, 0, text)
        self.assertEqual(set(first["pairs"]), {"one afl", "two asan"})
        status, _, second = self.soak()
        self.assertEqual(status, 0)
        for name, pair in first["pairs"].items():
            self.assertGreater(pair["cpu_seconds"], 0)
            self.assertGreater(second["pairs"][name]["cpu_seconds"], pair["cpu_seconds"])
            self.assertGreater(second["pairs"][name]["runs"], pair["runs"])

    def test_the_table_alone(self):
        self.make("one", "afl")
        _, _, first = self.soak()
        status, text, second = self.soak(minutes=-1)
        self.assertEqual((status, second["pairs"]), (0, first["pairs"]))
        self.assertIn("| one    | afl    |         0.0 |", text)

    def test_another_build(self):
        self.make("one", "afl")
        _, _, first = self.soak()
        self.make("one", "afl", binary="exit 0 # another one")
        _, _, second = self.soak(minutes=-1)
        self.assertEqual(second["pairs"]["one afl"]["cpu_seconds"], 0)
        self.assertEqual(second["pairs"]["one afl"]["earlier_cpu_seconds"], first["pairs"]["one afl"]["cpu_seconds"])

    def test_finding(self):
        self.make("one", "afl", FINDS, "exit 1")
        self.make("two", "afl")
        status, text, state = self.soak()
        path = os.path.join(self.state, "one", "artifacts", "crash-1")
        self.assertEqual(status, 1)
        self.assertIn("FOUND by one afl: " + path, text)
        # It does not run again, and the other one does.
        self.assertEqual(state["pairs"]["one afl"]["runs"], 1)
        status, _, again = self.soak()
        self.assertEqual(status, 1)
        self.assertEqual(again["pairs"]["one afl"]["runs"], 1)
        self.assertGreater(again["pairs"]["two afl"]["runs"], state["pairs"]["two afl"]["runs"])
        # Once it is mended, the input does not fail any more.
        self.make("one", "afl", BUSY, "exit 0")
        status, text, mended = self.soak()
        self.assertEqual(status, 0)
        self.assertIn("no longer fails: " + path, text)
        self.assertEqual([finding["fails"] for finding in mended["findings"]], [False])
        self.assertGreater(mended["pairs"]["one afl"]["runs"], 1)

    def test_engine_that_does_not_run(self):
        self.make("one", "afl", "echo no engine >&2; exit 3")
        status, text, state = self.soak()
        self.assertEqual(status, 1)
        self.assertEqual(state["findings"][0]["kind"], "engine")
        with open(state["findings"][0]["path"], encoding="utf-8") as log:
            self.assertIn("no engine", log.read())
        self.assertIn("log_afl.txt", text)

    def test_one_of_a_target_at_a_time(self):
        for engine in ("afl", "asan", "libfuzzer"):
            self.make("one", engine, 'root=${1#--fuzzing_output_root=}; mkdir "$root/running" || exit 1; sleep 0.05; '
                                     'rmdir "$root/running"')
        self.make("two", "afl")
        status, text, _ = self.soak(minutes=0.02, jobs=3)
        self.assertEqual(status, 0, text)

    def test_the_least_first(self):
        self.make("one", "afl")
        self.make("two", "afl")
        pairs = soak.find_pairs(self.programs)
        state = soak.State(self.state)
        for pair, seconds in zip(pairs, (7, 3)):
            state.begin(pair)["cpu_seconds"] = seconds
        schedule = soak.Schedule(state, pairs)
        self.assertEqual([schedule.next().target, schedule.next().target, schedule.next()], ["two", "one", None])
        schedule.give_back(pairs[0])
        self.assertEqual(schedule.next().target, "one")
        state.close()

    def test_only_one_soak(self):
        self.make("one", "afl")
        state = soak.State(self.state)
        with self.assertRaises(soak.Failure):
            self.soak()
        state.close()
        self.assertEqual(self.soak()[0], 0)

    def test_an_interrupted_write(self):
        self.make("one", "afl")
        self.soak()
        with open(os.path.join(self.state, "soak.json.new"), "w", encoding="utf-8") as torn:
            torn.write('{"pairs": {')
        self.assertEqual(self.soak()[0], 0)

    def test_no_programs(self):
        with self.assertRaises(soak.Failure):
            soak.find_pairs(self.programs)


if __name__ == "__main__":
    unittest.main()
