#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bug_bench.py: its statistics against known values, what is in the file after an interruption, and counted runs."""

import math
import os
import signal
import sys
import tempfile
import time
import types
import unittest
from unittest import mock

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import bench_report  # noqa: E402
import bug_bench  # noqa: E402
import bugs_table  # noqa: E402
import counted_run  # noqa: E402
import trial  # noqa: E402


def detected_at(*values):
    return [(value, True) for value in values]


def trial_at(bug, group, detected, seconds, **more):
    values = dict(executions=int(1000 * seconds), reached=1, triggered=1)
    values.update(more)
    return bench_report.Trial(bug, "name%d" % bug, group, detected, seconds, **values)


class Statistics(unittest.TestCase):
    def test_median_without_misses(self):
        self.assertEqual(bench_report.median(detected_at(5, 1, 3)), 3)
        self.assertEqual(bench_report.median(detected_at(4, 1, 3, 9)), 3)
        self.assertEqual(bench_report.median(detected_at(7)), 7)

    def test_median_with_misses(self):
        missed = [(60, False)]
        self.assertEqual(bench_report.median(detected_at(5, 1, 3) + 2 * missed), 5)
        self.assertEqual(bench_report.median(detected_at(5, 3) + 2 * missed), 5)
        self.assertEqual(bench_report.median(detected_at(5, 3) + 3 * missed), math.inf)
        self.assertEqual(bench_report.median(missed), math.inf)

    def test_quartile(self):
        self.assertEqual(bench_report.quantile(detected_at(1, 2, 3, 4), 0.25), 1)
        self.assertEqual(bench_report.quantile(detected_at(1, 2, 3, 4), 0.75), 3)

    def test_survival(self):
        # The textbook's: 6 in all; the one at 2 leaves without a detection, and the shares after it are of 4.
        curve = bench_report.survival([(1, True), (2, False), (3, True), (3, True), (5, False), (8, True)])
        self.assertEqual([value for value, _ in curve], [0.0, 1, 3, 8])
        for (_, share), wanted in zip(curve, [1, 5 / 6, 5 / 6 * 2 / 4, 0]):
            self.assertAlmostEqual(share, wanted)

    def test_detected_and_missed_at_once(self):
        # Who leaves at a time was there until then.
        curve = bench_report.survival([(4, True), (4, False)])
        self.assertEqual(curve, [(0.0, 1.0), (4, 0.5)])

    def test_format(self):
        self.assertEqual(bench_report.format_median(detected_at(1234567), 0), "1,234,567")
        self.assertEqual(bench_report.format_median([(60, False), (61.5, False), (2, True)], 1), ">61.5")
        self.assertEqual(bench_report.format_median([], 1), "")


class Report(unittest.TestCase):
    def setUp(self):
        self.trials = [
            trial_at(3, "afl bytes", True, 2), trial_at(3, "afl bytes", True, 4), trial_at(3, "afl bytes", False, 60),
            trial_at(7, "afl bytes", False, 60, triggered=0), trial_at(7, "afl bytes", False, 60, triggered=0),
            trial_at(7, "libfuzzer bytes", False, 60, reached=0, triggered=0), trial_at(3, "libfuzzer bytes", True, 1),
        ]

    def test_bug_table(self):
        lines = bench_report.bug_table(self.trials).splitlines()
        self.assertEqual(len({len(line) for line in lines}), 1)
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        self.assertEqual(cells[2], ["3", "name3", "4,000", "4.00", "1 of 3", "1,000", "1.00", ""])
        self.assertEqual(cells[3], ["7", "name7", ">60,000", ">60.00", "2 of 2", ">60,000", ">60.00", "1 of 1"])

    def test_summary(self):
        cells = [cell.strip() for cell in bench_report.summary_table(self.trials).splitlines()[2].strip("|").split("|")]
        self.assertEqual(cells[:8], ["afl bytes", "2", "5", "5", "3", "2", "1", "0"])
        self.assertEqual(cells[8:], [">60.00", "186", "1,000"])

    def test_escaped(self):
        self.assertEqual(bench_report.escaped_list(self.trials),
                         "- 7 name7: afl bytes (reached), libfuzzer bytes (not reached)")
        self.assertEqual(bench_report.escaped_list(self.trials[:2]), "Nothing.")

    def test_plot_data(self):
        blocks = bench_report.plot_data(self.trials, 60).split("\n\n\n")
        self.assertEqual(len(blocks), 2)
        self.assertEqual(blocks[0].splitlines(), ["0.0100 1.0000", "2.0000 0.8000", "4.0000 0.6000", "60.0000 0.6000"])

    def test_plot(self):
        with tempfile.TemporaryDirectory() as directory:
            self.assertIsNone(bench_report.plot(self.trials, directory))
            with open(directory + "/survival.svg", encoding="utf-8") as svg:
                text = svg.read()
        self.assertIn("<svg", text)
        self.assertIn("libfuzzer bytes", text)

    def test_no_gnuplot(self):
        path = os.environ["PATH"]
        try:
            os.environ["PATH"] = ""
            with tempfile.TemporaryDirectory() as directory:
                self.assertIn("apt-get install gnuplot-nox", bench_report.plot(self.trials, directory))
        finally:
            os.environ["PATH"] = path


BUGS = {bug.number: bug for bug in bugs_table.read_table()}
TARGETS = {name: types.SimpleNamespace(name=name) for name in ("differential", "large", "size_class")}
OPTIONS = types.SimpleNamespace(trials=3, bugs="2,12", seconds=6, corpus="none", engines=["libfuzzer", "afl"], modes=["bytes"])


def make_plans(build="b", bugs=(2, 12)):
    return [bug_bench.Plan(BUGS[number], engine, mode, n, OPTIONS.seconds, OPTIONS.corpus, build)
            for n in range(1, OPTIONS.trials + 1) for number in bugs for engine in OPTIONS.engines
            for mode in OPTIONS.modes]


class Engine:
    """In place of an engine: notes what it is asked for."""

    def __init__(self, detects=(), ends=None):
        self.calls, self.detects, self.ends = [], detects, ends

    def __call__(self, plan, target, seconds):
        self.calls.append((plan.bug.number, plan.engine, plan.trial, target.name, seconds))
        ended = "stopped" if self.ends is not None and len(self.calls) > self.ends else "itself"
        return trial.Result(target.name in self.detects, seconds, 100, 5, 2, "", ended)


class Trials(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.directory.name, "trials.csv")

    def tearDown(self):
        self.directory.cleanup()

    def run_plans(self, plans, engine):
        return bug_bench.run_plans(plans, TARGETS, bug_bench.TrialsFile(self.path), 1, engine)

    def test_the_targets_share(self):
        engine = Engine(detects=("size_class",))
        plan = make_plans()[0]
        self.assertEqual(plan.bug.targets, ["differential", "size_class"])
        row = bug_bench.run_trial(plan, TARGETS, engine)
        self.assertEqual([call[3:] for call in engine.calls], [("differential", 3), ("size_class", 3)])
        self.assertEqual((row["detected"], row["target"], row["cpu_seconds"], row["executions"], row["reached"]),
                         (1, "size_class", "6.000", 200, 10))
        # The second trial begins with the other one, and ends there.
        row = bug_bench.run_trial(plan._replace(trial=2), TARGETS, engine)
        self.assertEqual([call[3] for call in engine.calls[2:]], ["size_class"])
        self.assertEqual(row["cpu_seconds"], "3.000")

    def test_nothing_is_run_twice(self):
        plans = make_plans()
        self.assertEqual(self.run_plans(plans, Engine()), 12)
        engine = Engine()
        self.assertEqual(self.run_plans(plans, engine), 0)
        self.assertEqual(engine.calls, [])
        # Another build, and other seconds, are other trials.
        self.assertEqual(self.run_plans(make_plans(build="c"), Engine()), 12)
        self.assertEqual(self.run_plans([plan._replace(seconds=7) for plan in plans], Engine()), 12)
        self.assertEqual(len(bug_bench.TrialsFile(self.path).read()), 36)

    def test_what_was_interrupted_is_run_again(self):
        plans = make_plans()
        # Two targets for each trial: two trials are whole, the third is not.
        self.assertEqual(self.run_plans(plans, Engine(ends=5)), 2)
        self.assertEqual(self.run_plans(plans, Engine()), 10)

    def test_a_failure_ends_it_all(self):
        def fail(plan, target, seconds):
            raise trial.Failure("no engine")
        try:
            with self.assertRaises(trial.Failure):
                self.run_plans(make_plans(), fail)
        finally:
            counted_run.STOP.clear()
        self.assertEqual(bug_bench.TrialsFile(self.path).read(), [])

    def test_torn_line(self):
        self.run_plans(make_plans(), Engine())
        with open(self.path, "rb+") as file:
            file.truncate(os.path.getsize(self.path) - 5)
        self.assertEqual(len(bug_bench.TrialsFile(self.path).read()), 11)
        self.assertEqual(self.run_plans(make_plans(), Engine()), 1)
        with open(self.path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        self.assertEqual(len(lines), 13)
        self.assertEqual({line.count(",") for line in lines}, {len(bug_bench.COLUMNS) - 1})

    def test_another_file(self):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("a,b\n")
        with self.assertRaises(trial.Failure):
            bug_bench.TrialsFile(self.path)

    def test_who_is_left_out(self):
        bugs, left_out = bug_bench.choose_bugs("all", TARGETS)
        self.assertNotIn(109, [bug.number for bug in bugs])
        self.assertTrue(any("109 fork_keeps_start_locked" in line for line in left_out))
        self.assertEqual([bug.number for bug in bug_bench.choose_bugs("2,mask_of_32_slabs", TARGETS)[0]], [2, 12])
        with self.assertRaises(trial.Failure):
            bug_bench.choose_bugs("2,misspelt", TARGETS)
        with self.assertRaises(trial.Failure):
            bug_bench.choose_bugs("109", TARGETS)

    def test_times_end_with_the_budget(self):
        self.run_plans(make_plans(), Engine())
        row = dict(bug_bench.TrialsFile(self.path).read()[0], cpu_seconds="16.5", detected="1")
        self.assertEqual(bug_bench.trial_of_row(row).cpu_seconds, 6)
        self.assertEqual(bug_bench.trial_of_row(dict(row, cpu_seconds="1.25")).cpu_seconds, 1.25)

    def test_report(self):
        file, plans = bug_bench.TrialsFile(self.path), make_plans()
        with self.assertRaises(trial.Failure):
            bug_bench.write_report(plans, [], file, self.directory.name, OPTIONS)
        self.run_plans(plans, Engine(detects=("large",)))
        self.run_plans(make_plans(build="old"), Engine(detects=("differential",)))
        self.assertIsNone(bug_bench.write_report(plans, ["left out: nothing"], file, self.directory.name, OPTIONS))
        with open(os.path.join(self.directory.name, "report.md"), encoding="utf-8") as report:
            text = report.read()
        self.assertIn("12 of 12 trials", text)
        self.assertIn("- 2 usable_with_header: libfuzzer bytes (triggered), afl bytes (triggered)", text)
        self.assertNotIn("- 12 mask", text)


def is_running(pid):
    """Not one that is still to be reaped either."""
    try:
        with open("/proc/%d/cmdline" % pid, encoding="utf-8") as command:
            return command.read() != ""
    except (FileNotFoundError, ProcessLookupError):
        return False


BUSY = "while :; do :; done"


class CountedRuns(unittest.TestCase):
    def run_shell(self, script, **more):
        with tempfile.TemporaryDirectory() as directory:
            return counted_run.run(["sh", "-c", script], dict(os.environ), directory, 600, **more)

    def test_ends_itself(self):
        run = self.run_shell("echo text; exit 3", budget=60)
        self.assertEqual((run.status, run.ended, run.output), (3, "itself", "text\n"))

    def test_signal(self):
        self.assertEqual(self.run_shell("kill -ABRT $$").status, -signal.SIGABRT)

    def test_budget(self):
        run = self.run_shell("trap 'echo told; exit 0' USR1; " + BUSY, budget=0.3, end_signal=signal.SIGUSR1)
        self.assertEqual((run.status, run.ended, run.output), (0, "budget", "told\n"))
        self.assertGreaterEqual(run.cpu_seconds, 0.3)

    def test_children_in_their_own_session(self):
        run = self.run_shell("setsid sh -c '%s' & trap 'kill $!; exit 0' TERM; wait" % BUSY, budget=0.3)
        self.assertEqual((run.status, run.ended), (0, "budget"))
        self.assertGreaterEqual(run.cpu_seconds, 0.3)

    def test_nothing_is_left(self):
        grace = counted_run.GRACE_SECONDS
        try:
            counted_run.GRACE_SECONDS = 1
            run = self.run_shell("trap '' TERM; setsid sh -c 'echo $$; %s' & wait; wait" % BUSY, budget=0.2)
        finally:
            counted_run.GRACE_SECONDS = grace
        self.assertEqual((run.status, run.ended), (None, "budget"))
        # What is killed takes a moment to go.
        until = time.monotonic() + 30
        while is_running(int(run.output)) and time.monotonic() < until:
            time.sleep(0.05)
        self.assertFalse(is_running(int(run.output)))

    def test_question(self):
        run = self.run_shell("trap 'exit 0' TERM; " + BUSY, question=lambda: True)
        self.assertEqual((run.status, run.ended), (0, "asked"))

    def test_stat(self):
        self.assertEqual(counted_run.parse_stat("7 (a) b (c) S 3 7 7 0 -1 4 0 0 0 0 10 20 30 40 20 0 1 0"), (3, 100))


class Detection(unittest.TestCase):
    """What counts as one, by status alone."""

    def is_failure(self, status, ended="itself", output="fuzz: oracle x: y"):
        return trial.is_failure(counted_run.Run(status, ended, 1.0, output), ["program"])

    def test_statuses(self):
        for status in (77, 70, 71, -signal.SIGSEGV, -signal.SIGABRT):
            self.assertTrue(self.is_failure(status))
        self.assertFalse(self.is_failure(0))
        self.assertFalse(self.is_failure(None, "wall"))
        self.assertFalse(self.is_failure(-signal.SIGKILL, "stopped"))

    def test_an_engine_that_does_not_run(self):
        for status in (1, 2, 127):
            with self.assertRaises(trial.Failure):
                self.is_failure(status)

    def run_afl(self, output):
        """AFL++ ends without a word in its statistics, and no seed crashes."""
        ended = counted_run.Run(1, "itself", 1.0, output)
        with mock.patch.object(counted_run, "run", return_value=ended), \
                mock.patch.object(trial.shutil, "which", return_value="afl-fuzz"), \
                mock.patch.object(trial, "find_failing_seed", return_value=None):
            return trial.run_afl("program", 26, None, 1, 60)

    def test_a_seed_that_hangs(self):
        result = self.run_afl("WARNING: Test case results in a timeout (skipping)\nAll test cases time out or crash")
        self.assertEqual((result.detected, result.executions), (True, 1))
        with self.assertRaises(trial.Failure):
            self.run_afl("PROGRAM ABORT")


if __name__ == "__main__":
    unittest.main()
