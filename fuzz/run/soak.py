#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every fuzz target on every engine in turn, and adds up over the runs how many CPU minutes each has had.

    tools/bazel run //fuzz:soak -- --minutes=15 --state=DIRECTORY

What had the least so far is run next, so that a run of any length goes on where the one before stopped. DIRECTORY/soak.json
says what ran and what was found; DIRECTORY/TARGET has the corpus, which the engines share, and artifacts/ with the inputs that
failed. An input that failed once is run again at the beginning: while it fails, its target and engine do not run, and the
status is not 0. CPU minutes count for one build: of another program they begin anew, and the old ones are kept as a sum.
"""

import argparse
import contextlib
import glob
import os
import signal
import subprocess
import sys
import threading
import time

FOLDER = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path[:0] = [os.path.join(FOLDER, "seeded"), os.path.join(FOLDER, "continuous")]

import bench_report  # noqa: E402
import binaries  # noqa: E402
import counted_run  # noqa: E402
import files  # noqa: E402
from trial import Failure  # noqa: E402

# Shorter than this a slice is all beginning.
LEAST_SLICE_SECONDS = 5
# An engine that was to end and did not: reading a large corpus takes long, as does the input that it is at.
WALL_MORE = 300
INPUT_SECONDS = 120
# As fuzz/rules/tools/launcher.py.
ASAN_OPTIONS = "allocator_may_return_null=1:detect_stack_use_after_return=1"


class Pair:
    """A target on an engine. ENGINE_bin and ENGINE_run are what fuzzing_variant made."""

    def __init__(self, launcher):
        self.launcher = launcher
        self.binary = launcher[:-len("_run")] + "_bin"
        self.target, self.engine = os.path.basename(launcher)[:-len("_run")].split("_soak_")
        self.name = self.target + " " + self.engine


def find_pairs(directory):
    launchers = [path for path in sorted(glob.glob(os.path.join(directory, "*_soak_*_run"))) if os.access(path, os.X_OK)]
    if not launchers:
        raise Failure("no programs in %s: start this by `tools/bazel run`" % directory)
    return [Pair(launcher) for launcher in launchers]


class State:
    """soak.json. Always whole."""

    def __init__(self, directory):
        self.directory = directory
        self.path = os.path.join(directory, "soak.json")
        self.lock = threading.RLock()
        self.held = files.lock(directory, "soak")
        saved = files.read_json(self.path, {"pairs": {}, "findings": []})
        self.pairs, self.findings = saved["pairs"], saved["findings"]

    def close(self):
        self.held.close()

    def write(self):
        with self.lock:
            files.write_json(self.path, {"pairs": self.pairs, "findings": self.findings})

    def begin(self, pair):
        """What is known of a pair, for the program that there is now."""
        known = self.pairs.setdefault(pair.name, {"cpu_seconds": 0.0, "earlier_cpu_seconds": 0.0, "runs": 0, "build": ""})
        build = binaries.digest_of([pair.binary])
        if known["build"] != build:
            known["earlier_cpu_seconds"] += known["cpu_seconds"]
            known.update(cpu_seconds=0.0, build=build)
        return known

    def add(self, pair, cpu_seconds, findings):
        with self.lock:
            self.pairs[pair.name]["cpu_seconds"] += cpu_seconds
            self.pairs[pair.name]["runs"] += 1
            self.findings += findings
            self.write()

    def open_findings(self, pair=None):
        return [f for f in self.findings if f["fails"] and (pair is None or f["pair"] == pair.name)]


def still_fails(pair, path):
    """None where the input is gone."""
    if not os.path.exists(path):
        return None
    environment = dict(os.environ)
    environment.setdefault("ASAN_OPTIONS", ASAN_OPTIONS)
    try:
        return subprocess.call([pair.binary, path], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, timeout=INPUT_SECONDS) != 0
    except subprocess.TimeoutExpired:
        return True


def look_again(state, pairs):
    """Runs again what failed in an earlier run; an engine that did not run at all is tried again."""
    by_name = {pair.name: pair for pair in pairs}
    for finding in state.open_findings():
        if finding["kind"] == "engine":
            finding["fails"] = False
        elif finding["pair"] in by_name:
            finding["fails"] = bool(still_fails(by_name[finding["pair"]], finding["path"]))
            if not finding["fails"]:
                print("soak: no longer fails: %s" % finding["path"])
    state.write()


def artifacts_in(root):
    return set(glob.glob(os.path.join(root, "artifacts", "*")))


def run_slice(state, pair, seconds):
    root = os.path.join(state.directory, pair.target)
    os.makedirs(root, exist_ok=True)
    before = artifacts_in(root)
    command = [pair.launcher, "--fuzzing_output_root=" + root, "--timeout_secs=%d" % seconds]
    run = counted_run.run(command, dict(os.environ), root, seconds + WALL_MORE)
    new = sorted(artifacts_in(root) - before)
    findings = [{"pair": pair.name, "path": path, "kind": "input", "fails": True} for path in new]
    if not new and run.ended != "stopped" and run.status != 0:
        log = os.path.join(root, "log_%s.txt" % pair.engine)
        with open(log, "w", encoding="utf-8") as file:
            file.write("%s\nstatus %s, ended: %s\n%s" % (" ".join(command), run.status, run.ended, run.output))
        findings.append({"pair": pair.name, "path": log, "kind": "engine", "fails": True})
    state.add(pair, run.cpu_seconds, findings)
    print("%-14s %-10s %5.1f CPU s%s" % (pair.target, pair.engine, run.cpu_seconds, "".join(
        "\n    FOUND %s\n    again: %s %s" % (f["path"], os.path.realpath(pair.binary), f["path"]) for f in findings)),
        flush=True)


class Schedule:
    """Hands out pairs: the one with the fewest CPU seconds first, and no two of one target at a time, as they would write
    to the same directory."""

    def __init__(self, state, pairs):
        self.state, self.pairs, self.busy = state, pairs, set()
        self.lock = threading.Lock()

    def next(self):
        """A pair, or None where all that may run are busy."""
        with self.lock:
            free = [pair for pair in self.pairs if pair.target not in self.busy and not self.state.open_findings(pair)]
            if not free:
                return None
            known = self.state.pairs
            pair = min(free, key=lambda one: (known[one.name]["cpu_seconds"], known[one.name]["runs"]))
            self.busy.add(pair.target)
            return pair

    def give_back(self, pair):
        with self.lock:
            self.busy.discard(pair.target)

    def is_over(self):
        with self.lock:
            return not self.busy and all(self.state.open_findings(pair) for pair in self.pairs)


def work(state, schedule, slice_seconds, end, problems):
    try:
        while not counted_run.STOP.is_set() and end - time.monotonic() >= LEAST_SLICE_SECONDS and not schedule.is_over():
            pair = schedule.next()
            if pair is None:
                time.sleep(1)
                continue
            try:
                run_slice(state, pair, max(1, int(min(slice_seconds, end - time.monotonic()))))
            finally:
                schedule.give_back(pair)
    except Exception as problem:  # pylint: disable=broad-except
        problems.append(problem)
        counted_run.STOP.set()


def run_all(state, pairs, options):
    schedule, problems = Schedule(state, pairs), []
    end = time.monotonic() + 60 * options.minutes
    workers = [threading.Thread(target=work, args=(state, schedule, options.slice, end, problems))
               for _ in range(options.jobs)]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            worker.join()
    except BaseException:
        counted_run.STOP.set()
        for worker in workers:
            worker.join()
        raise
    if problems:
        raise problems[0]


def count_files(directory):
    with contextlib.suppress(FileNotFoundError):
        return len(os.listdir(directory))
    return 0


def table(state, pairs, before):
    rows = []
    for pair in pairs:
        known = state.pairs[pair.name]
        rows.append([pair.target, pair.engine, "%.1f" % ((known["cpu_seconds"] - before[pair.name]) / 60),
                     "%.1f" % (known["cpu_seconds"] / 60), "%.1f" % (known["earlier_cpu_seconds"] / 60), str(known["runs"]),
                     str(count_files(os.path.join(state.directory, pair.target, "corpus"))),
                     str(len(state.open_findings(pair)))])
    total = [sum(float(row[column]) for row in rows) for column in (2, 3, 4)]
    rows.append(["all", ""] + ["%.1f" % value for value in total] + ["", "", str(len(state.open_findings()))])
    header = ["target", "engine", "CPU min now", "this build", "earlier builds", "runs", "corpus", "findings"]
    return bench_report.format_table(header, rows, 2)


def soak(directory, pairs, options):
    state = State(directory)
    try:
        before = {pair.name: state.begin(pair)["cpu_seconds"] for pair in pairs}
        look_again(state, pairs)
        try:
            run_all(state, pairs, options)
        finally:
            print("\n" + table(state, pairs, before), flush=True)
            for finding in state.open_findings():
                print("FOUND by %s: %s" % (finding["pair"], finding["path"]), flush=True)
        return 1 if state.open_findings() else 0
    finally:
        state.close()


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="soak", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15, help="how long, on the clock (default 15; 0: only the table)")
    parser.add_argument("--state", default="/tmp/fuzzing/soak", metavar="DIRECTORY", help="default %(default)s")
    parser.add_argument("--slice", type=float, default=60, metavar="SECONDS", help="of a target at a time (default 60)")
    parser.add_argument("--jobs", type=int, default=2, help="engines at a time (default 2)")
    parser.add_argument("--targets", help="only these, with commas")
    parser.add_argument("--engines", help="only these, with commas: asan, libfuzzer, afl")
    options = parser.parse_args(arguments)
    if options.minutes < 0 or options.slice <= 0 or options.jobs < 1:
        parser.error("--slice and --jobs must be greater than 0, --minutes not less")
    return options


def choose(pairs, wanted, what):
    names = wanted.split(",") if wanted else sorted({getattr(pair, what) for pair in pairs})
    unknown = set(names) - {getattr(pair, what) for pair in pairs}
    if unknown:
        raise Failure("there is no %s %s" % (what, ", ".join(sorted(unknown))))
    return [pair for pair in pairs if getattr(pair, what) in names]


def main(arguments):
    options = parse_arguments(arguments)
    pairs = find_pairs(binaries.FUZZ)
    pairs = choose(choose(pairs, options.targets, "target"), options.engines, "engine")
    return soak(os.path.abspath(os.path.join(binaries.USER_DIRECTORY, options.state)), pairs, options)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        sys.exit("soak: %s" % failure)
    except KeyboardInterrupt:
        sys.exit(130)
