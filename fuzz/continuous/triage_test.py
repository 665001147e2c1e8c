#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Crashes are run again, made smaller, told apart and written down; scripts in place of the engines."""

import contextlib
import io
import os
import sys
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "seeded")]

import crash_record  # noqa: E402
import failures  # noqa: E402
import files  # noqa: E402
import replay  # noqa: E402
import status  # noqa: E402
from shared_corpus_test import WithTarget  # noqa: E402
from triage import Triage  # noqa: E402


class Scripted:
    """A replayer to whose runs somebody gave the outcomes; after these all pass."""

    def __init__(self, outcomes):
        self.outcomes = list(outcomes)

    def run(self, _):
        return self.outcomes.pop(0) if self.outcomes else failures.PASSED

    def run_bytes(self, data):
        return self.run(data)


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
        self.triage.collect(self.instances[instance])
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

    def test_what_is_gone_meanwhile_is_not_collected(self):
        instance = self.instances["afl_bytes"]
        path = os.path.join(instance.afl_directory, "crashes", "id:000000")
        os.makedirs(os.path.dirname(path))
        files.write(path, "1 BADzero")
        rename = os.rename

        def take_away_and_move(source, destination):
            os.unlink(path)
            rename(source, destination)

        os.rename = take_away_and_move
        try:
            self.triage.collect(instance)
        finally:
            os.rename = rename
        self.assertEqual(files.entries(instance.artifacts), [])

    def test_the_judge_sees_it_less_often(self):
        """The program that found it fails each time, the judge only the first, or the first and the third."""
        found = failures.describe("timeout", "", 70)

        for outcomes, reproduced in (([found], 0), ([found, failures.PASSED, found], 1), ([found] * 4, 3)):
            self.put("libfuzzer_asan", "1 LONG", "timeout")
            scripted = Scripted(outcomes)
            finder = Scripted([found] * replay.REPLAYS)
            replayers = {self.instances["libfuzzer_asan"]: finder, self.triage.judge: scripted}
            self.triage.replayer_of = replayers.get
            [identity] = self.run_triage()
            record = self.record(identity)
            self.assertEqual((record["reproduced"], record["replays"]), (reproduced, 3))
            os.rename(os.path.join(self.target.crashes, identity), os.path.join(self.state, "before%d" % reproduced))

    def test_a_printer_that_does_not_print(self):
        for script, printed in (("exit 1", []), ("exit 0", []), ("echo half; exit 1", []),
                                ('[ "$2" = --c ] || echo list', ["list.txt"]), (None, [])):
            if script is None:
                os.unlink(self.target.printer)
            else:
                files.write(self.target.printer, "#!/bin/sh\n%s\n" % script)
                os.chmod(self.target.printer, 0o755)
            self.put("libfuzzer_asan", "1 BADzero")
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                [identity] = self.run_triage()
            directory, record = os.path.join(self.target.crashes, identity), self.record(identity)
            self.assertEqual([name for name in files.entries(directory) if name in ("list.txt", "program.c")], printed)
            self.assertEqual((bool(record["list"]), record["program"]), (bool(printed), None))
            self.assertEqual(said.getvalue().count("\n"), 2 - len(printed), said.getvalue())
            os.rename(directory, os.path.join(self.state, "before%d" % len(os.listdir(self.state))))

    def test_the_printer_is_told_the_target(self):
        files.write(self.target.printer, '#!/bin/sh\necho "$@"\n')
        os.chmod(self.target.printer, 0o755)
        # Also where inputs are no programs from their first byte on.
        self.target.is_program = False
        self.put("libfuzzer_asan", "1 BADzero")
        [identity] = self.run_triage()
        directory, record = os.path.join(self.target.crashes, identity), self.record(identity)
        for name, field, options in (("list.txt", "list", b"--target=one "), ("program.c", "program", b"--target=one --c ")):
            printed = files.read(os.path.join(directory, name))
            self.assertTrue(printed.startswith(options) and printed.endswith(b"/input\n"), printed)
            self.assertEqual(record[field], os.path.join("one", "crashes", identity, name))

    def test_records_that_are_damaged(self):
        self.put("libfuzzer_asan", "1 BADzero")
        [identity] = self.run_triage()
        directory, good = os.path.join(self.target.crashes, identity), self.record(identity)
        for number, text in enumerate(('{"id": ', "[]", "7", '{"seen": 7}', '{"times": "often"}', '{"first_seen": NaN}')):
            files.write(os.path.join(directory, "crash.json"), text)
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                [crash] = status.crashes_of(self.target)
                self.assertEqual(status.crashes_of(self.target), [crash])
            self.assertEqual(said.getvalue().count("\n"), 1, said.getvalue())
            self.assertEqual(files.read(os.path.join(directory, "crash.json.bad" + (str(number + 1) if number else ""))),
                             text.encode("utf-8"))
            for field in ("id", "input", "list", "program", "regression"):
                self.assertEqual(crash[field], good[field])
            # It goes on counting.
            self.put("libfuzzer_asan", "2 BADzero")
            self.assertEqual((self.run_triage(), self.record(identity)["times"]), ([], 2))

    def test_a_record_of_another_version(self):
        self.put("libfuzzer_asan", "1 BADzero")
        [identity] = self.run_triage()
        directory, good = os.path.join(self.target.crashes, identity), self.record(identity)
        old = {name: value for name, value in good.items() if name not in ("looked_at", "fixed_in", "replays")}
        files.write_json(os.path.join(directory, "crash.json"), dict(old, more="x"))
        self.assertEqual(crash_record.read(self.target, directory), dict(good, more="x"))

    def test_what_lies_in_the_place_of_a_crash(self):
        self.put("libfuzzer_asan", "1 BADzero")
        [identity] = self.run_triage()
        directory = os.path.join(self.target.crashes, identity)
        for make in (lambda: files.write(directory, "a file"), lambda: os.mkdir(directory)):
            os.rename(directory, os.path.join(self.state, "before%d" % len(os.listdir(self.state))))
            make()
            self.put("libfuzzer_asan", "1 BADzero")
            with contextlib.redirect_stderr(io.StringIO()):
                self.assertEqual(self.run_triage(), [identity])
                self.assertEqual([crash["id"] for crash in status.crashes_of(self.target)], [identity])
        files.write(os.path.join(self.target.crashes, "notes"), "a file")
        for said in (1, 0):
            text = io.StringIO()
            with contextlib.redirect_stderr(text):
                self.assertEqual([crash["id"] for crash in status.crashes_of(self.target)], [identity])
            self.assertEqual(text.getvalue().count("\n"), said)
        self.assertEqual(sorted(os.listdir(self.target.crashes)),
                         [identity, identity + ".bad", identity + ".bad2", "notes.bad"])

    def test_what_another_build_makes_of_it(self):
        self.put("libfuzzer_asan", "1 BADzero")
        self.put("libfuzzer_asan", "1 BADcontent")
        directories = [os.path.join(self.target.crashes, identity) for identity in self.run_triage()]
        self.assertEqual(self.triage.not_looked_at(), [])
        for build in ("second", "third"):
            self.triage.build = build
            self.assertEqual(self.triage.not_looked_at(), sorted(directories))
            os.environ["FAKE_FIXED"] = "zero"
            self.addCleanup(os.environ.pop, "FAKE_FIXED", None)
            fails = {os.path.basename(directory): self.triage.look_again(directory) for directory in directories}
            self.assertEqual(sorted(fails.values()), [False, True])
            self.assertEqual(self.triage.not_looked_at(), [])
            fixed = {crash["id"]: crash["fixed_in"] for crash in status.crashes_of(self.target)}
            # The build that it was first seen to be fixed in.
            self.assertEqual(fixed, {identity: None if fails[identity] else "second" for identity in fails})
        # It is there again.
        del os.environ["FAKE_FIXED"]
        self.put("libfuzzer_asan", "1 BADzero")
        self.assertEqual(self.run_triage(), [])
        self.assertEqual({crash["fixed_in"] for crash in status.crashes_of(self.target)}, {None})
        self.triage.build, self.triage.replayer_of = "fourth", lambda _: Scripted([None])
        self.assertIsNone(self.triage.look_again(directories[0]))
        self.assertEqual(self.triage.not_looked_at(), sorted(directories))

    def test_a_crash_whose_input_is_gone(self):
        self.put("libfuzzer_asan", "1 BADzero")
        [identity] = self.run_triage()
        directory = os.path.join(self.target.crashes, identity)
        for name in ("input", "original", "list.txt"):
            os.unlink(os.path.join(directory, name))
        self.triage.build = "second"
        # Nobody can run it.
        self.assertEqual(self.triage.not_looked_at(), [])
        self.assertIsNone(self.record(identity)["fixed_in"])
        self.assertIsNone(status.crashes_of(self.target)[0]["list"])
        # Once it is found again there is one.
        self.put("libfuzzer_asan", "2 BADzero")
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(self.run_triage(), [identity])
        self.assertEqual(files.read(os.path.join(directory, "input")), b"BADzero")

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
