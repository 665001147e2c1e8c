#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""oracles_alone.py: who spoke, which inputs are kept, what is remembered, and the page."""

import os
import sys
import tempfile
import types
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import bugs_table  # noqa: E402
import oracles_alone  # noqa: E402
import trial  # noqa: E402


def result_of(output, detected=True):
    return trial.Result(detected, 0.1, None, 1, 1, output, "itself")


class Replay:
    """In place of libFuzzer on some files: each says by its name who speaks, and the first that fails ends it."""

    def __init__(self):
        self.asked = []

    def __call__(self, binary, bug, files, oracles=None, limit=60, input_timeout=10):
        self.asked.append((oracles, list(files)))
        output = ""
        for file in files:
            output += "Running: %s\n" % file
            for who in file.split("_")[1:]:
                if who == "crash":
                    return result_of(output)
                if oracles in ("all", who):
                    return result_of(output + "fuzz: oracle %s: something (operation 1, free, box)\n" % who)
        return result_of(output, False)


class Inputs(unittest.TestCase):
    def setUp(self):
        self.replay, self.saved = Replay(), trial.replay_corpus
        trial.replay_corpus = self.replay

    def tearDown(self):
        trial.replay_corpus = self.saved

    def test_all_that_fail(self):
        files = ["1", "2_zero", "3", "4_crash", "5_content_zero", "6"]
        self.assertEqual(oracles_alone.failing_inputs("b", 1, files), [
            ("2_zero", "zero"), ("4_crash", "crash"), ("5_content_zero", "content")])
        self.assertEqual([len(files) for _, files in self.replay.asked], [6, 4, 2, 1])

    def test_one_alone(self):
        files = ["2_zero", "4_crash", "5_content_zero"]
        for oracle, wanted in (("zero", True), ("content", True), ("crash", True), ("usable", False)):
            self.assertEqual(oracles_alone.who_sees("b", 1, files, oracle, True), wanted, oracle)
        self.assertFalse(oracles_alone.who_sees("b", 1, ["2_zero"], "crash", True))
        # An oracle that would speak only behind a crash does not.
        self.assertFalse(oracles_alone.who_sees("b", 1, ["4_crash_zero"], "zero", True))
        # Where nothing crashes without oracles, it is the oracle that does.
        self.assertTrue(oracles_alone.who_sees("b", 1, ["4_crash"], "zero", False))

    def test_kept(self):
        failing = [("%d" % i, "zero") for i in range(9)] + [("a", "crash"), ("b", "crash"), ("c", "usable")]
        self.assertEqual(oracles_alone.some_of_each(failing), ["0", "1", "2", "c", "a"])

    def test_second_target(self):
        targets = {name: types.SimpleNamespace(name=name, binaries={"libfuzzer": name}, corpus_files=lambda f=files: f)
                   for name, files in (("differential", ["1_zero"]), ("size_class", ["1_zero", "2_usable"]))}
        bug = next(bug for bug in bugs_table.read_table() if bug.targets == ["differential", "size_class"])
        result = oracles_alone.examine(bug, targets, {"zero": "", "usable": "", "content": ""}, 0)
        self.assertEqual(result["seen"], {"differential": ["zero"], "size_class": ["usable"]})
        self.assertEqual(oracles_alone.oracles_of(result), ["zero", "usable"])


class Words(unittest.TestCase):
    def test_who_spoke(self):
        both = "fuzz: oracle drain: x\nfuzz: oracle fork: a child ended\n"
        self.assertEqual(oracles_alone.oracle_that_spoke(result_of(both)), "drain")
        self.assertEqual(oracles_alone.oracle_that_spoke(result_of("Segmentation fault\n")), "crash")

    def test_oracles(self):
        oracles = oracles_alone.read_oracles()
        self.assertIn("zero to their end", oracles["zero"])
        self.assertGreaterEqual(len(oracles), 19)


def line(number, seen, how="corpus"):
    bug = next(bug for bug in bugs_table.read_table() if bug.number == number)
    return {"bug": number, "name": bug.name, "seen": seen, "how": {target: how for target in seen}}


class Page(unittest.TestCase):
    def test_page(self):
        results = [line(13, {"large": ["zero"]}), line(2, {"differential": ["usable", "crash"], "size_class": ["header"]}),
                   line(94, {"differential": []}, "")]
        text = oracles_alone.page(results, {"zero": "z", "usable": "u", "header": "h", "drain": "d"},
                                  bugs_table.read_table(), 5)
        self.assertIn("see no bug alone: `drain`.", text)
        self.assertIn("3 seeded bugs (fuzz/seeded/bugs.def): 2 are seen by an oracle alone, 1 by a crash", text)
        rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines() if row.startswith("|")]
        self.assertIn(["`zero`", "z", "1", "1", "13"], rows)
        self.assertIn(["`usable`", "u", "1", "0", ""], rows)
        self.assertIn(["94", "calloc_zeroes_words", "**not detected**", "", "zero", ""], rows)
        self.assertIn(["2", "usable_with_header", "usable header", "yes", "check_heap overlap",
                       "differential (corpus) size_class (corpus)"], rows)

    def test_remembered(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "oracles.jsonl")
            file = oracles_alone.ResultsFile(path, "build")
            file.add(line(13, {"large": ["zero"]}))
            with open(path, "a", encoding="utf-8") as torn:
                torn.write('{"bug": 2, "na')
            self.assertEqual(list(file.read()), [13])
            file.add(line(2, {}))
            self.assertEqual(sorted(file.read()), [2, 13])
            self.assertEqual(oracles_alone.ResultsFile(path, "another").read(), {})


if __name__ == "__main__":
    unittest.main()
