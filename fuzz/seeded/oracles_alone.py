#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which oracle sees which seeded bug, alone: with all others switched off.

    tools/bazel run //fuzz:oracles_alone                          writes docs/fuzzing_oracles.md
    tools/bazel run //fuzz:oracles_alone -- --bugs=94,13 --output=/tmp/page.md

Inputs that detect a bug are looked for with all oracles on: in the saved corpus of each target that bugs.def names, then, where
it has none, by libFuzzer from that corpus. Of each oracle that spoke first some inputs are kept, and run again with one oracle
alone, and with none. A detection is one by status; which of the oracle and a crash it was is told by the oracle's line.

Bugs that are done are kept in DIRECTORY/oracles.jsonl, and are not done again by the same build.
"""

import argparse
import collections
import concurrent.futures
import datetime
import json
import os
import re
import signal
import sys
import tempfile
import threading

import bench_report
import binaries
import bugs_table
import counted_run
import trial
from trial import Failure

ORACLE_H = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "model", "oracle.h")
ORACLE = re.compile(r'ORACLE\((\w+), "([^"]*)"\)')
# Of inputs by which one oracle spoke first: so many are kept, and more are not looked for once so many inputs failed.
KEPT = 3
FAILING_MAX = 20
# Each of these takes ten seconds; with one oracle alone, where it is known that an input may hang, fewer.
HANGS_MAX = 2
ALONE_TIMEOUT = 2
SEED = 1
CRASH = "crash"


def read_oracles(path=ORACLE_H):
    """name -> what it says"""
    with open(path, encoding="utf-8") as header:
        oracles = dict(ORACLE.findall(header.read()))
    if not oracles:
        raise Failure("%s has no oracles" % path)
    return oracles


def oracle_that_spoke(result):
    """Of a detection: the oracle's name, or crash, also for what hangs. The first one: that a child failed is told by its
    parent too, by another oracle."""
    found = re.findall(r"^fuzz: oracle (\w+): ", result.output, re.M)
    return found[0] if found else CRASH


def file_that_failed(result):
    found = re.findall(r"^Running: (.*)$", result.output, re.M)
    return found[-1] if found else None


def failing_inputs(binary, bug, files, oracles="all", input_timeout=trial.INPUT_TIMEOUT):
    """Of all files (file, who spoke): goes on behind one that failed."""
    rest, failing, hangs = list(files), [], 0
    while rest and len(failing) < FAILING_MAX and hangs < HANGS_MAX and not counted_run.STOP.is_set():
        result = trial.replay_corpus(binary, bug, rest, oracles=oracles, limit=600, input_timeout=input_timeout)
        file = file_that_failed(result)
        if not result.detected:
            break
        # libFuzzer executes an empty input first: what fails there fails with each.
        if file not in rest:
            file = rest[0]
        failing.append((file, oracle_that_spoke(result)))
        hangs += "libFuzzer: timeout" in result.output
        rest = rest[rest.index(file) + 1:]
    return failing


def some_of_each(failing):
    """Inputs for which different oracles spoke first; crashes, which may be hangs, last."""
    kept = collections.defaultdict(list)
    for file, oracle in failing:
        if len(kept[oracle]) < (1 if oracle == CRASH else KEPT):
            kept[oracle].append(file)
    return [file for oracle in sorted(kept, key=lambda name: name == CRASH) for file in kept[oracle]]


def find_inputs(bug, target, seconds, directory):
    """Inputs that detect the bug with all oracles on."""
    failing = failing_inputs(target.binaries["libfuzzer"], bug.number, target.corpus_files())
    if failing or seconds == 0:
        return some_of_each(failing), "corpus"
    artifact = os.path.join(directory, target.name)
    result = trial.run_libfuzzer(target.binaries["libfuzzer"], bug.number, target.corpus, SEED, seconds=seconds,
                                 dictionary=target.dictionary, artifact=artifact)
    return ([artifact], "libFuzzer") if result.detected and os.path.exists(artifact) else ([], "")


def who_sees(binary, bug, inputs, oracle, crashes):
    """Whether the oracle alone, or a crash with none, detects the bug by one of the inputs. What crashes or hangs only where an
    oracle is on does so in what it asks, and is seen by it."""
    if oracle == CRASH:
        return any(who == CRASH for _, who in failing_inputs(binary, bug, inputs, "none"))
    return any(who == oracle or not crashes for _, who in failing_inputs(binary, bug, inputs, oracle, ALONE_TIMEOUT))


def examine(bug, targets, oracles, seconds):
    """The line of a bug: which oracles see it alone, by target. None where it was interrupted."""
    seen, how = {}, {}
    with tempfile.TemporaryDirectory() as directory:
        for name in bug.targets:
            if name not in targets:
                continue
            binary = targets[name].binaries["libfuzzer"]
            inputs, how[name] = find_inputs(bug, targets[name], seconds, directory)
            # A second target has only to say what the first did not.
            known = {oracle for found in seen.values() for oracle in found}
            crashes = CRASH in known or who_sees(binary, bug.number, inputs, CRASH, True)
            seen[name] = [oracle for oracle in oracles
                          if inputs and oracle not in known and who_sees(binary, bug.number, inputs, oracle, crashes)]
            seen[name] += [CRASH] if crashes and CRASH not in known else []
            if counted_run.STOP.is_set():
                return None
    return {"bug": bug.number, "name": bug.name, "seen": seen, "how": how}


class ResultsFile:
    """JSON, a line for each bug and build."""

    def __init__(self, path, build):
        self.path, self.build, self.lock = path, build, threading.Lock()

    def read(self):
        """number -> the line, of this build."""
        results = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as lines:
                for line in lines:
                    # A line without its end was being written when the machine went down.
                    if line.endswith("}\n"):
                        result = json.loads(line)
                        if result["build"] == self.build:
                            results[result["bug"]] = result
        return results

    def add(self, result):
        with self.lock, open(self.path, "a+", encoding="utf-8") as file:
            file.seek(0)
            torn = file.read()[-1:] not in ("", "\n")
            file.write(("\n" if torn else "") + json.dumps(dict(result, build=self.build)) + "\n")
            file.flush()


def oracles_of(result):
    """Those that see the bug, of any target, in the order of oracle.h; without crashes."""
    return list(dict.fromkeys(oracle for found in result["seen"].values() for oracle in found if oracle != CRASH))


def crashes(result):
    return any(CRASH in found for found in result["seen"].values())


def page(results, oracles, bugs, seconds):
    by_oracle = {oracle: [r for r in results if oracle in oracles_of(r)] for oracle in oracles}
    only = {oracle: [r for r in found if oracles_of(r) == [oracle] and not crashes(r)]
            for oracle, found in by_oracle.items()}
    expected = {bug.number: bug.oracles for bug in bugs}

    def numbers(found, most=12):
        return " ".join(str(r["bug"]) for r in found[:most]) + (" ..." if len(found) > most else "")

    oracle_rows = [["`%s`" % oracle, meaning, str(len(by_oracle[oracle])), str(len(only[oracle])), numbers(only[oracle])]
                   for oracle, meaning in oracles.items()]
    bug_rows = []
    for result in results:
        names = oracles_of(result)
        expected_here = [o for o in expected[result["bug"]] if o != CRASH]
        bug_rows.append([
            str(result["bug"]), result["name"], " ".join(names) or ("" if crashes(result) else "**not detected**"),
            "yes" if crashes(result) else "", " ".join(o for o in expected_here if o not in names),
            " ".join("%s (%s)" % (target, result["how"][target]) for target, found in result["seen"].items()
                     if result["how"][target])])
    seen = [result for result in results if oracles_of(result)]
    silent = [oracle for oracle in oracles if not by_oracle[oracle]]
    return "\n\n".join([
        "# What each oracle sees",
        "Made by `tools/bazel run //fuzz:oracles_alone -- --seconds=%g`, %s. %d seeded bugs (fuzz/seeded/bugs.def): %d are "
        "seen by an oracle alone, %d by a crash or a hang with no oracle at all, %d by neither. Inputs are those of the corpus "
        "that detect the bug, else one that libFuzzer found within so many CPU seconds; an oracle may also see a bug by "
        "other inputs than these." % (
            seconds, datetime.date.today().isoformat(), len(results), len(seen), sum(map(crashes, results)),
            sum(not oracles_of(r) and not crashes(r) for r in results)),
        "Oracles that see no bug alone: %s." % (", ".join("`%s`" % oracle for oracle in silent) or "none"),
        "## By oracle\n\"Only\": the bugs that no other oracle and no crash detects.",
        bench_report.format_table(["oracle", "what it says", "bugs", "only", "which"], oracle_rows, 2),
        "## By bug\n\"None\": the program crashes, or hangs, with no oracle on. \"Missing\": bugs.def expects these too.",
        bench_report.format_table(["bug", "name", "alone", "none", "missing", "inputs"], bug_rows, 6),
    ]) + "\n"


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="oracles_alone", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bugs", default="all", help="numbers with commas (default all)")
    parser.add_argument("--seconds", type=float, default=10,
                        help="CPU seconds of libFuzzer where the corpus detects nothing (default 10; 0: not at all)")
    parser.add_argument("--state", default="/tmp/fuzzing/oracles_alone", metavar="DIRECTORY",
                        help="default %(default)s")
    parser.add_argument("--output", help="the page (default docs/fuzzing_oracles.md; with --bugs: none, only printed)")
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_args(arguments)


def examine_all(bugs, targets, oracles, options, file):
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        pending = [pool.submit(examine, bug, targets, oracles, options.seconds) for bug in bugs]
        try:
            for future in concurrent.futures.as_completed(pending):
                result = future.result()
                if result is None:
                    continue
                file.add(result)
                print("%3d %-34s %s%s" % (result["bug"], result["name"], " ".join(oracles_of(result)) or "-",
                                          ", crash" if crashes(result) else ""), flush=True)
        except BaseException:
            for future in pending:
                future.cancel()
            counted_run.STOP.set()
            raise


def main(arguments):
    options = parse_arguments(arguments)
    oracles, targets = read_oracles(), binaries.find_targets()
    bugs = [bug for bug in bugs_table.read_table() if options.bugs == "all" or str(bug.number) in options.bugs.split(",")]
    directory = os.path.join(binaries.USER_DIRECTORY, options.state)
    os.makedirs(directory, exist_ok=True)
    build = binaries.digest_of([target.binaries["libfuzzer"] for target in targets.values()] +
                               [file for target in targets.values() for file in target.corpus_files()])
    file = ResultsFile(os.path.join(directory, "oracles.jsonl"), build)
    done = file.read()
    examine_all([bug for bug in bugs if bug.number not in done], targets, oracles, options, file)
    done = file.read()
    results = [done[bug.number] for bug in bugs if bug.number in done]
    text = page(results, oracles, bugs, options.seconds)
    output = options.output
    if output is None and options.bugs == "all":
        output = os.path.join(os.environ.get("BUILD_WORKSPACE_DIRECTORY", binaries.USER_DIRECTORY), "docs",
                              "fuzzing_oracles.md")
    if output:
        with open(os.path.join(binaries.USER_DIRECTORY, output), "w", encoding="utf-8") as document:
            document.write(text)
    print(text)
    silent = [oracle for oracle in oracles if not any(oracle in oracles_of(result) for result in results)]
    return "no bug is seen by %s alone" % ", ".join(silent) if silent and options.bugs == "all" else None


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        sys.exit("oracles_alone: %s" % failure)
    except KeyboardInterrupt:
        sys.exit(130)
