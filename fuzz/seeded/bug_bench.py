#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long the engines take to detect the seeded bugs.

    tools/bazel run //fuzz:bug_bench -- --trials=5 --seconds=60 --output=DIRECTORY

A trial is one bug, one engine, one mode and one seed, until the bug is detected or the CPU seconds are used up. They are
shared equally by the targets that bugs.def names for the bug, which run one after the other; in each trial another one
begins, so that none is favoured. What the targets before used counts.

Every trial is a line of DIRECTORY/trials.csv, written when it ends; a run that was interrupted goes on where it stopped, and
trials of other settings or another build count as others. Then DIRECTORY/report.md and DIRECTORY/survival.svg are made, of all
trials with these settings.
"""

import argparse
import collections
import concurrent.futures
import csv
import datetime
import os
import platform
import signal
import sys
import threading

import bench_report
import binaries
import bugs_table
import counted_run
import trial
from trial import Failure

MODES = ["structured", "bytes"]
COLUMNS = ["bug", "name", "engine", "mode", "trial", "seconds", "corpus", "build", "detected", "target", "cpu_seconds",
           "executions", "reached", "triggered"]
Plan = collections.namedtuple("Plan", "bug engine mode trial seconds corpus build")


def key_of(row):
    """What makes a trial the same as another one."""
    return tuple(str(row[name]) for name in ("bug", "engine", "mode", "trial", "seconds", "corpus", "build"))


def key_of_plan(plan):
    return key_of(dict(plan._asdict(), bug=plan.bug.number))


class TrialsFile:
    """A CSV file that grows by one whole line at a time. A last line without its end is what was being written when the
    machine went down: it is dropped."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        if os.path.exists(path):
            self._drop_torn_line()
        if not os.path.exists(path) or os.path.getsize(path) == 0:
            self._append(COLUMNS)
        with open(path, encoding="utf-8", newline="") as file:
            if next(csv.reader(file)) != COLUMNS:
                raise Failure("%s has other columns: give another --output" % path)

    def _drop_torn_line(self):
        with open(self.path, "rb+") as file:
            text = file.read()
            file.truncate(text.rfind(b"\n") + 1)

    def _append(self, values):
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(values)
            file.flush()
            os.fsync(file.fileno())

    def add(self, row):
        with self.lock:
            self._append(["" if row[name] is None else row[name] for name in COLUMNS])

    def read(self):
        with open(self.path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


def targets_of(bug, targets):
    return [targets[name] for name in bug.targets if name in targets]


def seed_of(plan):
    """Another one for each trial and bug; not for each engine."""
    return 1000 * plan.trial + plan.bug.number


def run_on_target(plan, target, seconds):
    corpus = target.corpus if plan.corpus == "saved" else None
    binary, seed = target.binaries[plan.engine], seed_of(plan)
    if plan.engine == "libfuzzer":
        return trial.run_libfuzzer(binary, plan.bug.number, corpus, seed, seconds=seconds, bytes_only=plan.mode == "bytes",
                                   dictionary=target.dictionary)
    return trial.run_afl(binary, plan.bug.number, corpus, seed, seconds, dictionary=target.dictionary,
                         mutator=target.mutator if plan.mode == "structured" else None)


def run_trial(plan, targets, run=run_on_target):
    """The row of a trial, or None where it was interrupted."""
    mine = targets_of(plan.bug, targets)
    first = (plan.trial - 1) % len(mine)
    row = dict.fromkeys(COLUMNS, "")
    row.update(bug=plan.bug.number, name=plan.bug.name, engine=plan.engine, mode=plan.mode, trial=plan.trial,
               seconds=plan.seconds, corpus=plan.corpus, build=plan.build, detected=0, cpu_seconds=0.0, executions=0,
               reached=0, triggered=0)
    for target in mine[first:] + mine[:first]:
        result = run(plan, target, plan.seconds / len(mine))
        if result.ended == "stopped":
            return None
        row["cpu_seconds"] += result.cpu_seconds
        for name in ("executions", "reached", "triggered"):
            row[name] += getattr(result, name) or 0
        if result.detected:
            row.update(detected=1, target=target.name)
            break
    row["cpu_seconds"] = "%.3f" % row["cpu_seconds"]
    return row


def make_plans(bugs, targets, options):
    """All trials, the first of each bug before the second of any, so that an interrupted run has something of all."""
    build = binaries.digest_of([target.binaries[engine] for target in targets.values() for engine in binaries.ENGINES])
    return [Plan(bug, engine, mode, number, options.seconds, options.corpus, build)
            for number in range(1, options.trials + 1) for bug in bugs
            for engine in options.engines for mode in options.modes]


def run_plans(plans, targets, file, jobs, run=run_on_target):
    """Those that are not in the file yet. Returns how many trials were run."""
    finished = {key_of(row) for row in file.read()}
    rest = [plan for plan in plans if key_of_plan(plan) not in finished]
    print("%d trials, of which %d are done" % (len(plans), len(plans) - len(rest)), flush=True)
    done = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        pending = [pool.submit(run_trial, plan, targets, run) for plan in rest]
        try:
            for future in concurrent.futures.as_completed(pending):
                row = future.result()
                if row is None:
                    continue
                file.add(row)
                done += 1
                print("%4d/%d  %3s %-34s %-9s %-10s trial %s: %s, %s CPU s, %s executions" % (
                    done, len(rest), row["bug"], row["name"], row["engine"], row["mode"], row["trial"],
                    "detected by " + row["target"] if row["detected"] else "missed", row["cpu_seconds"],
                    row["executions"]), flush=True)
        except BaseException:
            for future in pending:
                future.cancel()
            counted_run.STOP.set()
            raise
    return done


def trial_of_row(row):
    """An engine ends a little after its budget, or well after it where the input that it is at turns out to hang. Times are cut
    there, or the few that came later would be compared with nobody."""
    seconds = min(float(row["cpu_seconds"]), float(row["seconds"]))
    return bench_report.Trial(int(row["bug"]), row["name"], row["engine"] + " " + row["mode"], row["detected"] == "1",
                              seconds, int(row["executions"] or 0), int(row["reached"] or 0),
                              int(row["triggered"] or 0))


def write_report(plans, left_out, file, directory, options):
    wanted = {key_of_plan(plan) for plan in plans}
    order = {key_of_plan(plan): number for number, plan in enumerate(plans)}
    rows = sorted((row for row in file.read() if key_of(row) in wanted), key=lambda row: order[key_of(row)])
    if not rows:
        raise Failure("no trial has ended yet")
    trials = [trial_of_row(row) for row in rows]
    notes = [
        "`tools/bazel run //fuzz:bug_bench -- --trials=%d --bugs=%s --seconds=%g --corpus=%s`, %s" % (
            options.trials, options.bugs, options.seconds, options.corpus, datetime.date.today().isoformat()),
        "%d of %d trials; the budget of %g CPU seconds is shared by the targets of a bug" % (
            len(rows), len(plans), options.seconds),
        "corpus: %s" % ("none, each engine begins with nothing" if options.corpus == "none" else "that of fuzz/corpus"),
        "machine: %s, %d CPUs, load %.1f" % (platform.machine(), os.cpu_count(), os.getloadavg()[0]),
    ] + left_out
    text = bench_report.report(trials, "Seeded bugs", notes)
    with open(os.path.join(directory, "report.md"), "w", encoding="utf-8") as report:
        report.write(text)
    print("\n" + text)
    return bench_report.plot(trials, directory)


def choose_bugs(wanted, targets):
    """The bugs, and lines about those that are left out."""
    table = bugs_table.read_table()
    if wanted != "all":
        names = wanted.split(",")
        unknown = [name for name in names if not any(name in (str(bug.number), bug.name) for bug in table)]
        if unknown:
            raise Failure("--bugs: there is no bug %s" % ", ".join(unknown))
        table = [bug for bug in table if str(bug.number) in names or bug.name in names]
    bugs = [bug for bug in table if targets_of(bug, targets)]
    left_out = ["left out: %d %s, of which only %s would know" % (bug.number, bug.name, " ".join(bug.targets))
                for bug in table if bug not in bugs]
    if not bugs:
        raise Failure("--bugs: no target here is for %s" % wanted)
    return bugs, left_out


def words_of(known):
    def parse(text):
        words = text.split(",")
        unknown = [word for word in words if word not in known]
        if unknown:
            raise argparse.ArgumentTypeError("%s: expected some of %s" % (",".join(unknown), ",".join(known)))
        return words
    return parse


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="bug_bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5, help="of each bug, engine and mode (default 5)")
    parser.add_argument("--bugs", default="all", help="numbers or names with commas (default all)")
    parser.add_argument("--engines", type=words_of(binaries.ENGINES), default=binaries.ENGINES, help="libfuzzer,afl")
    parser.add_argument("--modes", type=words_of(MODES), default=MODES,
                        help="structured: with the mutator of operations, for targets whose inputs are programs; bytes: the "
                             "engine's own mutations alone")
    parser.add_argument("--seconds", type=float, default=60, help="CPU seconds of a trial (default 60)")
    parser.add_argument("--corpus", choices=["none", "saved"], default="none",
                        help="what the engine begins with (default none: a corpus was made with knowledge of the oracles)")
    parser.add_argument("--output", default="/tmp/fuzzing/bug_bench", help="default %(default)s")
    parser.add_argument("--jobs", type=int, default=2, help="trials at a time (default 2)")
    parser.add_argument("--report-only", action="store_true", help="run no trial")
    options = parser.parse_args(arguments)
    if options.trials < 1 or options.jobs < 1 or options.seconds <= 0:
        parser.error("--trials, --jobs and --seconds must be greater than 0")
    return options


def main(arguments):
    options = parse_arguments(arguments)
    targets = binaries.find_targets()
    bugs, left_out = choose_bugs(options.bugs, targets)
    print("\n".join(left_out))
    directory = os.path.join(binaries.USER_DIRECTORY, options.output)
    os.makedirs(directory, exist_ok=True)
    file = TrialsFile(os.path.join(directory, "trials.csv"))
    plans = make_plans(bugs, targets, options)
    if not options.report_only:
        run_plans(plans, targets, file, options.jobs)
    problem = write_report(plans, left_out, file, directory, options)
    print("trials.csv, report.md and survival.svg are in " + directory)
    if problem:
        raise Failure(problem)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main(sys.argv[1:])
    except Failure as failure:
        sys.exit("bug_bench: %s" % failure)
    except KeyboardInterrupt:
        sys.exit(130)
