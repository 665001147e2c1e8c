#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shared corpus and its merges, with scripts in place of the engines."""

import os
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "seeded")]

import fake_engines  # noqa: E402
import files  # noqa: E402
import instances  # noqa: E402
from shared_corpus import Merger, SharedCorpus  # noqa: E402


class WithTarget(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        programs = fake_engines.make_programs(os.path.join(self.temporary.name, "programs"))
        self.state = os.path.join(self.temporary.name, "state")
        self.target = instances.find_targets(programs, self.state, "fake")[0]
        self.target.make_directories()
        self.instances = {instance.name: instance for instance in self.target.instances}
        self.corpus = SharedCorpus(self.target)


class Corpus(WithTarget):
    def test_a_name_is_the_sha1(self):
        self.assertTrue(self.corpus.add(b"1 2"))
        self.assertFalse(self.corpus.add(b"1 2"))
        self.assertFalse(self.corpus.add(b""))
        self.assertEqual(self.corpus.names(), [files.sha1_of(b"1 2")])
        self.assertEqual(os.listdir(self.corpus.incoming), [])

    def test_there_is_a_seed(self):
        self.corpus.add_seeds()
        self.assertEqual(len(self.corpus.names()), 1)

    def test_what_was_torn_or_copied_gets_its_name(self):
        self.corpus.add(b"1 2")
        for name, data in (("0" * 40, b"torn"), ("my-own", b"3 4"), ("the-same", b"1 2"), ("empty", b"")):
            files.write(os.path.join(self.target.corpus, name), data)
        self.assertEqual(self.corpus.recover(), 4)
        self.assertEqual(set(self.corpus.names()), {files.sha1_of(data) for data in (b"1 2", b"torn", b"3 4")})

    def test_takes_what_libfuzzer_kept(self):
        instance = self.instances["libfuzzer_bytes"]
        for text in (b"1", b"2"):
            files.write(os.path.join(instance.new, files.sha1_of(text)), text)
        self.corpus.add(b"2")
        self.assertEqual(self.corpus.take(instance), 1)
        self.assertEqual((len(self.corpus.names()), files.entries(instance.new)), (2, []))

    def test_takes_the_queue_of_afl_once(self):
        instance = self.instances["afl_structured"]
        queue = os.path.join(instance.afl_directory, "queue")
        os.makedirs(os.path.join(queue, ".state"))
        for name, text in (("id:000000,orig:x", b"1"), ("id:000001,sync:afl_bytes,src:000004", b"2"), ("id:000002,src:0", b"3"),
                           ("README", b"4")):
            files.write(os.path.join(queue, name), text)
        self.assertEqual(self.corpus.take(instance), 2)
        # A merge put one away: the queue does not bring it back.
        os.unlink(os.path.join(self.target.corpus, files.sha1_of(b"3")))
        self.assertEqual(self.corpus.take(instance), 0)
        self.assertEqual(self.corpus.names(), [files.sha1_of(b"1")])
        self.assertEqual(len(files.entries(queue)), 4)

    def test_a_queue_that_goes_meanwhile(self):
        instance = self.instances["afl_structured"]
        queue = os.path.join(instance.afl_directory, "queue")
        os.makedirs(queue)
        for number in range(3):
            files.write(os.path.join(queue, "id:00000%d,src:0" % number), b"%d" % number)
        read = files.read

        def read_and_throw_away(path):
            data = read(path)
            if path.startswith(queue):
                shutil.rmtree(queue)
            return data

        files.read = read_and_throw_away
        try:
            self.assertEqual(self.corpus.take(instance), 1)
        finally:
            files.read = read
        self.assertEqual(self.corpus.names(), [files.sha1_of(b"0")])

    def test_what_fails_stays_out_until_there_is_another_build(self):
        self.corpus.add(b"1")
        self.corpus.set_aside(files.sha1_of(b"1"))
        self.assertEqual(self.corpus.names(), [])
        self.assertFalse(self.corpus.add(b"1"))
        self.corpus.put_back()
        self.assertEqual(self.corpus.names(), [files.sha1_of(b"1")])


class Merge(WithTarget):
    def setUp(self):
        super().setUp()
        self.is_to_end = False
        judge = self.instances["libfuzzer_structured"]
        self.merger = Merger(self.target, judge, judge.environment(self.state), 100, lambda: self.is_to_end)
        for text in (b"1", b"2", b"1 2", b"3", b"2 3"):
            self.corpus.add(text)

    def edges(self):
        return fake_engines.edges_below(self.target.corpus)

    def test_measures(self):
        self.assertEqual(self.merger.measure()[0], 3)

    def test_puts_away_what_adds_nothing(self):
        before, after, put_away, _ = self.merger.merge()
        self.assertEqual((before, after, self.edges()), (3, 3, {"1", "2", "3"}))
        self.assertEqual(put_away, 5 - len(self.corpus.names()))
        self.assertGreater(put_away, 0)
        self.assertFalse(os.path.exists(self.corpus.merging))

    def test_one_that_loses_edges_puts_nothing_away(self):
        self.merger.environment = dict(self.merger.environment, FAKE_BAD_MERGE="1")
        before, after, put_away, _ = self.merger.merge()
        self.assertEqual((before, after, put_away, len(self.corpus.names())), (3, 0, 0, 5))

    def test_an_interrupted_one_is_taken_up(self):
        self.is_to_end = True
        self.merger.environment["FAKE_MERGE_SECONDS"] = "10"
        self.assertIsNone(self.merger.merge())
        self.assertEqual(len(self.corpus.names()), 5)
        self.is_to_end = False
        self.merger.environment["FAKE_MERGE_SECONDS"] = "0"
        # What came meanwhile is not touched, and half an output is no answer.
        self.corpus.add(b"1 3")
        os.makedirs(self.merger.output, exist_ok=True)
        files.write(os.path.join(self.merger.output, "half"), b"1")
        self.assertTrue(self.merger.is_due(10 ** 9))
        self.assertIsNotNone(self.merger.merge())
        self.assertIn(files.sha1_of(b"1 3"), self.corpus.names())
        self.assertEqual(self.edges(), {"1", "2", "3"})
        self.assertFalse(self.merger.is_due(len(self.corpus.names())))

    def test_an_input_that_it_did_not_get_through_stays(self):
        self.corpus.add(b"UNLUCKY")
        self.corpus.add(b"UNLUCKY 1")
        self.assertGreater(self.merger.merge()[2], 0)
        self.assertLessEqual({files.sha1_of(b"UNLUCKY"), files.sha1_of(b"UNLUCKY 1")}, set(self.corpus.names()))

    def test_one_that_was_complete_before_it_was_killed(self):
        for merged in (False, True):
            self.corpus.add(b"1 2 3")
            self.merger._begin()  # pylint: disable=protected-access
            self.merger._merge()  # pylint: disable=protected-access
            if merged:
                files.write(self.merger.merged, "")
            before, after, put_away, _ = self.merger.merge()
            self.assertEqual((before, after, self.edges()), (3, 3, {"1", "2", "3"}))
            self.assertGreater(put_away, 0)
            self.assertFalse(os.path.exists(self.corpus.merging))

    def test_what_was_killed_while_it_put_away_loses_nothing(self):
        class Killed(Exception):
            pass

        remove, calls = os.unlink, []

        def killed_at_the_second(path, **more):
            if self.target.corpus in str(path):
                calls.append(path)
                if len(calls) == 2:
                    raise Killed
            remove(path, **more)

        os.unlink = killed_at_the_second
        try:
            with self.assertRaises(Killed):
                self.merger.merge()
        finally:
            os.unlink = remove
        self.assertEqual(self.edges(), {"1", "2", "3"})
        self.assertIsNotNone(self.merger.merge())
        self.assertEqual(self.edges(), {"1", "2", "3"})

    def test_what_failed_meanwhile_is_not_relied_on(self):
        self.merger._begin()  # pylint: disable=protected-access
        kept = os.path.join(self.temporary.name, "kept")
        os.mkdir(kept)
        fake_engines.merge(kept, self.merger.input)
        self.corpus.set_aside(files.entries(kept)[0])
        self.assertEqual(self.merger.merge()[2], 0)
        self.assertEqual(len(self.corpus.names()), 4)


if __name__ == "__main__":
    unittest.main()
