#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One run of an engine on a target with one seeded bug: was it detected, and at what cost? Used by the test and the bench.

A bug is detected where the engine ends with another status than the one for "nothing found"; nothing that is printed counts.
libFuzzer ends at the first failure, AFL++ too with AFL_BENCH_UNTIL_CRASH; what AFL++ found is what lies among its crashes.
"""

import collections
import glob
import os
import re
import shutil
import subprocess
import tempfile

Result = collections.namedtuple("Result", "detected cpu_seconds executions reached triggered output")

INPUT_MAX = 1032
INPUT_TIMEOUT = 10
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


def run_counted(command, environment, limit, directory):
    """Status, output, CPU seconds of the command and all its children."""
    with tempfile.TemporaryFile() as output:
        begin = os.times()
        process = subprocess.Popen(command, env=environment, cwd=directory, stdout=output, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            status = process.wait()
            status = None
        end = os.times()
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    return status, text, end.children_user + end.children_system - begin.children_user - begin.children_system


def environment_for(bug, oracles, bytes_only):
    environment = dict(os.environ)
    environment["FUZZ_SEEDED_BUG"] = str(bug)
    if oracles:
        environment["FUZZ_ORACLES"] = oracles
    if bytes_only:
        environment["FUZZ_MUTATOR"] = "bytes"
    return environment


def counts_in(text):
    found = re.findall(r"seeded bug \d+ \w+: reached (\d+) triggered (\d+)", text)
    return tuple(map(int, found[-1])) if found else (None, None)


def replay_corpus(binary, bug, files, oracles=None, limit=60):
    """Runs every file once, all in one process."""
    with tempfile.TemporaryDirectory() as directory:
        status, text, seconds = run_counted([binary, "-timeout=%d" % INPUT_TIMEOUT] + files,
                                            environment_for(bug, oracles, False), limit, directory)
    return Result(status != 0, seconds, None, *counts_in(text), text)


def run_libfuzzer(binary, bug, corpus, seed, seconds=None, runs=None, bytes_only=False, oracles=None,
                  dictionary=None):
    """Until something is found, or for so many CPU seconds or runs. corpus may be None."""
    with tempfile.TemporaryDirectory() as directory:
        work = os.path.join(directory, "corpus")
        os.mkdir(work)
        command = [binary, "-seed=%d" % seed, "-max_len=%d" % INPUT_MAX, "-timeout=%d" % INPUT_TIMEOUT, "-reload=0",
                   "-print_final_stats=1", "-artifact_prefix=%s/" % directory]
        if dictionary:
            command.append("-dict=" + dictionary)
        if seconds:
            command.append("-max_total_time=%d" % seconds)
        if runs:
            command.append("-runs=%d" % runs)
        command += [work] + ([corpus] if corpus else [])
        limit = (seconds or 600) + 60
        status, text, used = run_counted(command, environment_for(bug, oracles, bytes_only), limit, directory)
    executions = re.findall(r"stat::number_of_executed_units: (\d+)", text) or re.findall(r"^#(\d+)\t", text, re.M)
    return Result(status != 0, used, int(executions[-1]) if executions else None, *counts_in(text), text)


def run_afl(binary, bug, corpus, seed, seconds, mutator=None, oracles=None, dictionary=None):
    with tempfile.TemporaryDirectory() as directory:
        seeds, output = os.path.join(directory, "seeds"), os.path.join(directory, "output")
        os.mkdir(seeds)
        files = glob.glob(os.path.join(corpus, "*")) if corpus else []
        for file in files:
            if os.path.getsize(file):
                shutil.copyfile(file, os.path.join(seeds, os.path.basename(file)))
        if not os.listdir(seeds):
            with open(os.path.join(seeds, "seed"), "wb") as seed_file:
                seed_file.write(bytes(16))
        environment = dict(environment_for(bug, oracles, mutator is None), **AFL_SETTINGS)
        if mutator:
            environment["AFL_CUSTOM_MUTATOR_LIBRARY"] = mutator
        command = ["afl-fuzz"] + (["-x", dictionary] if dictionary else [])
        command += ["-i", seeds, "-o", output, "-s", str(seed), "-V", str(seconds), "-t",
                   str(1000 * INPUT_TIMEOUT), "-G", str(INPUT_MAX), "--", binary]
        _, text, used = run_counted(command, environment, 2 * seconds + 120, directory)
        crashes = [file for folder in ("crashes", "hangs") for file in glob.glob(output + "/default/%s/id:*" % folder)]
        # Where a seed crashes already, AFL++ does not begin at all.
        if not crashes and not os.path.exists(output + "/default/fuzzer_stats"):
            crashes = [file for file in glob.glob(seeds + "/*")
                       if subprocess.call([binary, file], env=environment, stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL) != 0]
        executions = None
        if os.path.exists(output + "/default/fuzzer_stats"):
            with open(output + "/default/fuzzer_stats", encoding="utf-8") as stats:
                found = re.search(r"execs_done\s*:\s*(\d+)", stats.read())
                executions = int(found.group(1)) if found else None
        return Result(bool(crashes), used, executions, *counts_in(text), text)
