#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One run of an engine on a target with one seeded bug: was it detected, and at what cost? Used by the test and the bench.

A bug is detected where the engine ends with the status that it has for a failure; nothing that is printed counts. libFuzzer
ends at the first failure, AFL++ too; what AFL++ found is what lies among its crashes and hangs. An engine that could not run
at all is an error, and no detection.

How often a bug's place was passed is counted in a file that the processes of the engine share (seeded_bugs.h).
"""

import collections
import glob
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile

import counted_run

# ended: as in counted_run. A count that was not taken is None.
Result = collections.namedtuple("Result", "detected cpu_seconds executions reached triggered output ended")

INPUT_MAX = 1032
INPUT_TIMEOUT = 10
# libFuzzer's: an input takes too long, takes too much memory, fails. Other errors, such as an unknown flag, have status 1; so
# has an invalid address, which is the affair of the sanitizers' runtime that libFuzzer brings, unless it is told otherwise.
# That runtime would also take a second to look for names of functions.
FAILURE_STATUS = {70, 71, 77}
# afl-showmap's: an input fails.
SHOWMAP_FAILURE = 2
# afl-fuzz's, of a seed; afl-showmap's status would be that of any error.
SEED_HANGS = "Test case results in a timeout"
SANITIZER_OPTIONS = {"UBSAN_OPTIONS": "exitcode=77:symbolize=0"}
# A run that takes so much longer than its CPU seconds is given up: it waits for something.
WALL_FACTOR = 20
WALL_MORE = 120
# As engines/afl_launcher.py.
AFL_SETTINGS = {
    "AFL_BENCH_UNTIL_CRASH": "1",
    "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",
    "AFL_NO_UI": "1",
    "AFL_SKIP_CPUFREQ": "1",
    "AFL_NO_AFFINITY": "1",
    # Within a sandbox the directory is below /tmp.
    "AFL_ALLOW_TMP": "1",
}


class Failure(Exception):
    """The engine did not run: something that the user should read without a stack trace."""


class Counts:
    """The file that the target counts in."""

    BYTES = 1 << 16

    def __init__(self, directory):
        self.path = os.path.join(directory, "counts")
        with open(self.path, "wb") as file:
            file.truncate(self.BYTES)

    def read(self):
        """reached, triggered. struct hak_seeded_bug of allocator/base/seeded_bug.h."""
        with open(self.path, "rb") as file:
            number, reached, triggered = struct.unpack("=I4xQQ", file.read(24))
        return (reached, triggered) if number else (None, None)


def environment_for(bug, oracles, bytes_only, counts=None):
    environment = dict(os.environ, **SANITIZER_OPTIONS)
    environment["FUZZ_SEEDED_BUG"] = str(bug)
    if oracles:
        environment["FUZZ_ORACLES"] = oracles
    if bytes_only:
        environment["FUZZ_MUTATOR"] = "bytes"
    if counts:
        environment["FUZZ_SEEDED_COUNTS"] = counts.path
    return environment


def is_failure(run, command):
    """Whether libFuzzer, or a target that it runs once, failed."""
    # What took too long, or was killed by somebody, found nothing.
    if run.status in (0, None, -signal.SIGKILL, -signal.SIGTERM) or run.ended == "wall":
        return False
    if run.status < 0 or run.status in FAILURE_STATUS:
        return run.ended != "stopped"
    raise Failure("%s ended with status %s:\n%s" % (" ".join(command), run.status, run.output[-2000:]))


def replay_corpus(binary, bug, files, oracles=None, limit=300, input_timeout=INPUT_TIMEOUT):
    """Runs every file once, all in one process."""
    if not files:
        return Result(False, 0.0, 0, None, None, "", "itself")
    with tempfile.TemporaryDirectory() as directory:
        counts = Counts(directory)
        command = [binary, "-timeout=%d" % input_timeout] + files
        run = counted_run.run(command, environment_for(bug, oracles, False, counts), directory, limit)
        return Result(is_failure(run, command), run.cpu_seconds, None, *counts.read(), run.output, run.ended)


def executions_of_libfuzzer(text):
    found = re.findall(r"stat::number_of_executed_units: (\d+)", text) or re.findall(r"^#(\d+)\t", text, re.M)
    return int(found[-1]) if found else None


def run_libfuzzer(binary, bug, corpus, seed, seconds=None, runs=None, bytes_only=False, oracles=None,
                  dictionary=None, artifact=None):
    """Until something is found, or for so many CPU seconds or runs. corpus may be None; what was found is copied to artifact.

    At the end of its seconds libFuzzer is told by SIGUSR1, at which it ends in order and with status 0.
    """
    with tempfile.TemporaryDirectory() as directory:
        counts = Counts(directory)
        work = os.path.join(directory, "corpus")
        os.mkdir(work)
        command = [binary, "-seed=%d" % seed, "-max_len=%d" % INPUT_MAX, "-timeout=%d" % INPUT_TIMEOUT, "-reload=0",
                   "-print_final_stats=1", "-handle_usr1=1", "-artifact_prefix=%s/found-" % directory]
        if dictionary:
            command.append("-dict=" + dictionary)
        if runs:
            command.append("-runs=%d" % runs)
        command += [work] + ([corpus] if corpus else [])
        run = counted_run.run(command, environment_for(bug, oracles, bytes_only, counts), directory,
                              WALL_FACTOR * (seconds or 30) + WALL_MORE, seconds, signal.SIGUSR1)
        detected = is_failure(run, command)
        found = glob.glob(directory + "/found-*")
        if detected and artifact and found:
            shutil.copyfile(found[0], artifact)
        return Result(detected, run.cpu_seconds, executions_of_libfuzzer(run.output), *counts.read(), run.output,
                      run.ended)


def make_afl_seeds(corpus, directory):
    """Copies of the corpus, without empty files, which AFL++ does not take."""
    os.mkdir(directory)
    for file in sorted(glob.glob(os.path.join(corpus, "*"))) if corpus else []:
        if os.path.getsize(file):
            shutil.copyfile(file, os.path.join(directory, os.path.basename(file)))
    if not os.listdir(directory):
        with open(os.path.join(directory, "seed"), "wb") as seed_file:
            seed_file.write(bytes(16))


def find_failing_seed(binary, environment, seeds, directory):
    """The number of the first seed that fails, from 1 on, or None: where one does, AFL++ does not begin at all. Each is run as
    AFL++ does it, several times in one child of a process that has run an input already."""
    for number, file in enumerate(sorted(glob.glob(seeds + "/*")), 1):
        copies = os.path.join(directory, "copies-%d" % number)
        os.mkdir(copies)
        for copy in range(10):
            shutil.copyfile(file, os.path.join(copies, str(copy)))
        command = ["afl-showmap", "-q", "-t", str(1000 * INPUT_TIMEOUT), "-i", copies, "-o", copies + "-map", "--", binary]
        if subprocess.call(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL) == SHOWMAP_FAILURE:
            return number
    return None


def run_afl(binary, bug, corpus, seed, seconds, mutator=None, oracles=None, dictionary=None):
    """Until something is found, or for so many CPU seconds: then AFL++ is told by SIGINT, at which it ends in order."""
    if shutil.which("afl-fuzz") is None:
        raise Failure("afl-fuzz is missing: apt-get install afl++")
    with tempfile.TemporaryDirectory() as directory:
        counts = Counts(directory)
        seeds, output = os.path.join(directory, "seeds"), os.path.join(directory, "output")
        make_afl_seeds(corpus, seeds)
        environment = dict(environment_for(bug, oracles, mutator is None, counts), **AFL_SETTINGS)
        if mutator:
            environment["AFL_CUSTOM_MUTATOR_LIBRARY"] = mutator
        command = ["afl-fuzz"] + (["-x", dictionary] if dictionary else [])
        command += ["-i", seeds, "-o", output, "-s", str(seed), "-t", str(1000 * INPUT_TIMEOUT), "-G", str(INPUT_MAX),
                    "--", binary]

        def has_found():
            return bool(glob.glob(output + "/default/crashes/id:*") or glob.glob(output + "/default/hangs/id:*"))

        run = counted_run.run(command, environment, directory, WALL_FACTOR * seconds + WALL_MORE, seconds, signal.SIGINT,
                              has_found)
        detected, executions = has_found(), None
        if os.path.exists(output + "/default/fuzzer_stats"):
            with open(output + "/default/fuzzer_stats", encoding="utf-8") as stats:
                found = re.search(r"execs_done\s*:\s*(\d+)", stats.read())
                executions = int(found.group(1)) if found else None
        elif not detected and run.ended in ("itself", "wall"):
            executions = 1 if SEED_HANGS in run.output else find_failing_seed(binary, environment, seeds, directory)
            detected = executions is not None
            if not detected:
                raise Failure("%s ended with status %s:\n%s" % (" ".join(command), run.status, run.output[-2000:]))
        return Result(detected, run.cpu_seconds, executions, *counts.read(), run.output, run.ended)
