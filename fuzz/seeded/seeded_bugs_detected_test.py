#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every seeded bug is detected by a target that can meet it: by its corpus, or by a fixed seed and a bounded number of runs.

    seeded_bugs_detected_test.py --shard I/N --missed FILE TARGET=BINARY=CORPUS ...

What is known to escape is listed in missed.txt, with the reason; a bug of that list that a corpus detects fails the test too,
so that the list stays true. At most a tenth of the bugs may be listed.
"""

import argparse
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import bugs_table  # noqa: E402
import trial  # noqa: E402

SEED = 1
RUNS = 3000
# Only against a hang: what a slower machine detects must be the same.
SECONDS = 200


class Target:
    def __init__(self, argument):
        self.name, self.binary, self.corpus = argument.split("=")
        self.binary = os.path.abspath(self.binary)
        self.corpus = os.path.abspath(self.corpus)
        self.files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(self.corpus) for name in names)


def read_missed(path):
    """Bug numbers and reasons."""
    missed = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                number, reason = line.split(None, 1)
                missed[int(number)] = reason.strip()
    return missed


def is_detected(result):
    """A failure of a program that passed the bug's place. What the system or this test ended is none."""
    return result.detected and result.ended == "itself" and (result.reached or 0) > 0


def check_without_bug(target):
    """What is wrong with a target when no bug is on; nothing may be detected then."""
    if not target.files:
        return "%s has no corpus" % target.name
    if trial.replay_corpus(target.binary, "", target.files).detected:
        return "%s fails on its corpus with no bug at all" % target.name
    if trial.run_libfuzzer(target.binary, "", target.corpus, SEED, seconds=10, runs=500).detected:
        return "%s fails after its corpus with no bug at all" % target.name
    return None


def detect(bug, targets):
    """How a bug was detected, in words, or None; and how often its place was passed."""
    reached = 0
    mine = [target for name in bug.targets for target in targets if target.name == name]
    for target in mine:
        result = trial.replay_corpus(target.binary, bug.number, target.files)
        reached += result.reached or 0
        if is_detected(result):
            return "corpus of %s" % target.name, reached
    for target in mine:
        result = trial.run_libfuzzer(target.binary, bug.number, target.corpus, SEED, seconds=SECONDS, runs=RUNS)
        reached += result.reached or 0
        if is_detected(result):
            return "%s, %s executions" % (target.name, result.executions), reached
    return None, reached


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shard", default="1/1", help="I/N: every N-th bug, from the I-th on")
    parser.add_argument("--missed", required=True)
    parser.add_argument("--bugs", help="only these numbers, with commas")
    parser.add_argument("targets", nargs="+", metavar="TARGET=BINARY=CORPUS")
    arguments = parser.parse_args()
    targets = [Target(argument) for argument in arguments.targets]
    missed = read_missed(arguments.missed)
    all_bugs = bugs_table.read_table()
    part, parts = map(int, arguments.shard.split("/"))
    bugs = all_bugs[part - 1::parts]
    if arguments.bugs:
        bugs = [bug for bug in all_bugs if str(bug.number) in arguments.bugs.split(",")]
    failures = 0
    if 10 * len(missed) > len(all_bugs):
        print("FAILED: %d of %d bugs are listed as missed: more than a tenth" % (len(missed), len(all_bugs)))
        failures += 1
    if not bugs:
        print("FAILED: there are no such bugs")
        failures += 1
    for wrong in filter(None, map(check_without_bug, targets)):
        print("FAILED: " + wrong)
        failures += 1
    for bug in bugs:
        how, reached = detect(bug, targets)
        if how and bug.number in missed and not how.startswith("corpus"):
            # A search depends on addresses, and may be lucky.
            print("detected %3d %s all the same: %s" % (bug.number, bug.name, how))
        elif how and bug.number in missed:
            print("FAILED: %3d %s is listed in missed.txt, and is detected: %s" % (bug.number, bug.name, how))
            failures += 1
        elif how:
            print("detected %3d %s: %s" % (bug.number, bug.name, how))
        elif bug.number in missed:
            print("missed   %3d %s, reached %d times: %s" % (bug.number, bug.name, reached, missed[bug.number]))
        else:
            print("FAILED: %3d %s escaped %s, reached %d times" % (
                bug.number, bug.name, " ".join(bug.targets), reached))
            failures += 1
        sys.stdout.flush()
    print("%d bugs, %d failures" % (len(bugs), failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
