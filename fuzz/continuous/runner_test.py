#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What one part of the runner does while another is at the same instance; no engine is run."""

import argparse
import contextlib
import io
import os
import threading
import unittest

from shared_corpus_test import WithTarget

import engine_slice
import files
import runner as runners


class InHand(WithTarget):
    """An instance is in one worker's hands from its start until what it found is taken over."""

    def setUp(self):
        super().setUp()
        options = argparse.Namespace(jobs=1, slice=1, minimise_seconds=1, disk_mib=1, memory_mib=100, coverage_minutes=0)
        self.runner = runners.Runner(options, self.state, [self.target], "build", "", lambda _: None, threading.Event())
        self.runner.recover()
        self.runner.schedule.give_back = self.give_back(self.runner.schedule.give_back)
        self.instance = self.instances["afl_bytes"]
        self.addCleanup(setattr, engine_slice, "run", engine_slice.run)
        engine_slice.run = self.run_engine
        self.given_back = []

    def give_back(self, before):
        def noted(instance):
            self.given_back.append(instance.name)
            before(instance)
        return noted

    def run_engine(self, *_):
        for name, text in (("queue/id:000000,src:0", b"1"), ("queue/more", bytes(3 << 20)),
                           ("crashes/id:000000", b"2 BADzero")):
            path = os.path.join(self.instance.afl_directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            files.write(path, text)
        self.runner.stop.set()  # no pause and no merge behind it
        return engine_slice.Slice(1.0, 5, 5, None)

    def test_room_is_made_when_all_is_taken_over(self):
        care = self.runner.care["one"]
        take, collect, seen = care.corpus.take, care.triage.collect, []

        def after_room(function):
            def with_room(instance):
                self.runner.make_room()
                seen.append(os.path.isdir(instance.afl_directory))
                return function(instance)
            return with_room

        care.corpus.take, care.triage.collect = after_room(take), after_room(collect)
        self.assertTrue(self.runner.schedule.hold(self.instance))
        self.runner.run_slice(self.instance)
        self.assertEqual(seen, [True, True])
        self.assertIn(files.sha1_of(b"1"), self.corpus.names())
        self.assertEqual(len(files.entries(self.instance.artifacts)), 1)
        # Nobody could throw it away while it ran: that is done when it is over.
        self.assertFalse(os.path.exists(self.instance.afl_directory))
        self.assertEqual(self.runner.problems, [])

    def test_room_is_made_by_what_nobody_has(self):
        self.run_engine()
        self.runner.care["one"].take(self.instance)
        self.runner.make_room()
        self.assertFalse(os.path.exists(self.instance.afl_directory))
        self.assertEqual(self.given_back, ["afl_bytes"])

    def test_what_did_not_fail_again_stays_while_the_target_is_judged(self):
        doubtful = os.path.join(self.target.unreproducible, "0123")
        os.mkdir(doubtful)
        files.write(os.path.join(doubtful, "input"), bytes(3 << 20))
        with self.runner.care["one"].lock:
            self.runner.make_room()
            self.assertTrue(os.path.exists(doubtful))
        self.runner.make_room()
        self.assertFalse(os.path.exists(doubtful))

    def test_what_is_in_hand_is_not_judged(self):
        files.write(os.path.join(self.instance.artifacts, "slow-unit-1"), b"1")
        self.assertTrue(self.runner.schedule.hold(self.instance))
        self.assertFalse(self.runner.judge_what_waits())
        self.runner.schedule.give_back(self.instance)
        self.assertTrue(self.runner.judge_what_waits())
        self.assertEqual(files.entries(self.instance.artifacts), [])
        self.assertTrue(self.runner.schedule.is_free(self.instance))

    def test_the_corpus_alone_is_too_much(self):
        self.corpus.add(bytes(3 << 20))
        self.runner.make_room()
        self.assertEqual(len(self.runner.problems), 1)
        self.assertIn("the corpus and the crashes alone take 3 MiB", self.runner.problems[0])

    def test_copies_of_a_killed_measurement_go(self):
        files.write(os.path.join(self.state, "note"), b"")
        for name in (".source_coverage", ".gone"):
            os.mkdir(os.path.join(self.state, name))
        with contextlib.redirect_stderr(io.StringIO()):
            self.runner.recover()
        self.assertEqual([name for name in os.listdir(self.state) if name.startswith(".")], [])


if __name__ == "__main__":
    unittest.main()
