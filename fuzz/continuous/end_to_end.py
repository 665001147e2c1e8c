#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From a bug in the allocator to a `bazel test` that fails, by real engines, with the runner killed twenty times on the way.

    fuzz/continuous/end_to_end.py [--disk_cache=DIR] [--seed=N] [--keep]

In a clone of the checkout's last commit, with no corpus for //fuzz:differential: the runner has one of the seeded bugs to find,
and is killed with its whole process group at random moments. Then it has one crash for it, made smaller; its file, copied to
fuzz/regress, makes `tools/bazel test` fail while the bug is there, and pass without it; and no edge that was covered before
a kill is lost. It takes minutes, needs the Bazel server for itself and so is no test of Bazel's: CI runs it as a command.
"""

import argparse
import glob
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
CHECKOUT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "seeded")]

import files  # noqa: E402
import upkeep  # noqa: E402
from shared_corpus import MEASURE, fixed_addresses  # noqa: E402

# Slabs that are taken stay noted as zero: found by some hundred inputs from nothing, and seen by one oracle alone.
BUG = "14"
TARGET = "differential"
KILLS = 20
# Until a kill; and the most until the crash is there, beyond the kills.
MOMENTS = (1.0, 8.0)
FIND_SECONDS = 600
# What lies in fuzz/FOLDER/differential and would find the bug by itself.
CORPORA = ["corpus", "regress", "seeded_inputs"]


class Wrong(Exception):
    """What is not as it should be."""


def check(is_right, text):
    if not is_right:
        raise Wrong(text)
    print("end_to_end: " + text, flush=True)


class Workspace:
    """A clone with its own Bazel."""

    def __init__(self, root, disk_cache):
        self.root, self.path = root, os.path.join(root, "checkout")
        self.output_base = os.path.join(root, "bazel")
        self.flags = ["--disk_cache=" + disk_cache] if disk_cache else []
        subprocess.check_call(["git", "clone", "-q", CHECKOUT, self.path])
        for folder in CORPORA:
            shutil.rmtree(os.path.join(self.path, "fuzz", folder, TARGET), ignore_errors=True)

    def bazel(self, command, *arguments):
        """(status, output)"""
        run = subprocess.run([os.path.join(self.path, "tools", "bazel"), "--output_base=" + self.output_base, command]
                             + (self.flags if command in ("build", "test") else []) + list(arguments), cwd=self.path,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return run.returncode, run.stdout.decode("utf-8", "replace")

    def test(self, target, bug):
        """Bazel's status, which is 3 where a test failed, and the output, which has the test's."""
        return self.bazel("test", target, "--test_output=errors", *(["--test_env=FUZZ_SEEDED_BUG=" + bug] if bug else []))

    def make_programs(self):
        """Copies of what the runner runs, as //fuzz:continuous has them among its runfiles."""
        labels = ["//fuzz:%s_seeded_libfuzzer_bin" % TARGET, "//fuzz:%s_seeded_afl_bin" % TARGET,
                  "//fuzz/op:libop_mutator.so", "//fuzz/op:print_program"]
        status, output = self.bazel("build", *labels)
        check(status == 0, "the programs with the seeded bugs are built" + (output if status else ""))
        programs = os.path.join(self.root, "programs")
        os.makedirs(os.path.join(programs, "op"))
        for label in labels:
            name = label[len("//fuzz"):].replace(":", "/").lstrip("/")
            shutil.copy(os.path.join(self.path, "bazel-bin", "fuzz", name), os.path.join(programs, name))
        return programs


class Runner:
    """The runner of the clone."""

    def __init__(self, workspace, programs):
        self.state = os.path.realpath(os.path.join(workspace.root, "state"))
        self.judge = os.path.join(programs, "%s_seeded_libfuzzer_bin" % TARGET)
        self.command = [sys.executable, "-B", os.path.join(workspace.path, "fuzz", "continuous", "continuous.py"),
                        "--state=" + self.state, "--programs=" + programs, "--variant=seeded", "--targets=" + TARGET,
                        "--slice=10", "--jobs=2", "--minimise-seconds=10"]
        self.log = os.path.join(workspace.root, "runner.log")
        self.empty = os.path.join(workspace.root, "empty")
        os.mkdir(self.empty)

    def start(self):
        with open(self.log, "ab") as log:
            return subprocess.Popen(self.command, env=dict(os.environ, FUZZ_SEEDED_BUG=BUG), stdout=log,
                                    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)

    def said(self):
        return files.read(self.log).decode("utf-8", "replace")

    def path(self, *parts):
        return os.path.join(self.state, TARGET, *parts)

    def crashes(self):
        return [name for name in sorted(os.listdir(self.path("crashes"))) if not name.startswith(".")]

    def edges(self):
        """Of the corpus as it lies there, by the program without the bug, which nothing stops."""
        if not files.entries(self.path("corpus")):
            return 0
        environment = dict(os.environ, UBSAN_OPTIONS="symbolize=0")
        environment.pop("FUZZ_SEEDED_BUG", None)
        command = fixed_addresses() + [self.judge] + MEASURE + ["-max_len=1032", self.empty, self.path("corpus")]
        run = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
        found = re.findall(rb"\bcov: (\d+)", run.stdout)
        if run.returncode != 0 or not found:
            raise Wrong("the corpus does not run: " + run.stdout.decode("utf-8", "replace")[-2000:])
        return int(found[-1])


def kill_again_and_again(runner, moments):
    """Returns the greatest number of edges that was seen after a kill."""
    most, known = 0, set()
    for number in range(1, KILLS + 1):
        process = runner.start()
        time.sleep(moments.uniform(*MOMENTS))
        if process.poll() is not None:
            raise Wrong("the runner ended by itself:\n" + runner.said())
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # What it had started ends with it, or at the next start; only then the corpus is still.
        edges = runner.edges()
        crashes = set(runner.crashes()) if os.path.isdir(runner.path("crashes")) else set()
        check(edges >= most, "kill %d: %d inputs cover %d edges, %d before; %d crashes" % (
            number, len(files.entries(runner.path("corpus"))), edges, most, len(crashes)))
        check(known <= crashes, "no crash was lost")
        most, known = max(most, edges), crashes
    return most


def find(runner):
    """The runner goes on until the crash is there and every engine has had a turn, and is told to end."""
    process, end = runner.start(), time.monotonic() + FIND_SECONDS
    engines = {"libfuzzer_structured", "libfuzzer_bytes", "afl_structured", "afl_bytes"}
    try:
        while True:
            state = files.read_json(os.path.join(runner.state, "state.json"), {"instances": {}})
            ran = {name.split()[1] for name, known in state["instances"].items() if known["runs"] and known["executions"]}
            if runner.crashes() and ran == engines:
                break
            if process.poll() is not None or time.monotonic() > end:
                raise Wrong("%s ran, crashes: %s\n%s" % (sorted(ran), runner.crashes(), runner.said()))
            time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        check(process.wait(300) == 0, "the runner ends when it is told to, with status 0")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        upkeep.end_orphans(runner.state)


def check_crash(runner):
    """The one crash; returns its directory."""
    crashes = runner.crashes()
    records = [files.read_json(runner.path("crashes", name, "crash.json")) for name in crashes]
    check(len(crashes) == 1, "one bug, one crash: " + "; ".join("%s (%d times)" % (r["summary"], r["times"]) for r in records))
    [directory], [record] = [runner.path("crashes", name) for name in crashes], records
    sizes = os.path.getsize(os.path.join(directory, "original")), os.path.getsize(os.path.join(directory, "input"))
    check(sizes[1] < sizes[0], "it was made smaller: from %d bytes to %d" % sizes)
    check(record["reproduced"] == record["replays"] == 3, "it failed in 3 of 3 replays")
    print(files.read(os.path.join(directory, "list.txt")).decode("utf-8", "replace"), end="")
    check(b"calloc" in files.read(os.path.join(directory, "program.c")), "it is there as a C program")
    status = files.read_json(os.path.join(runner.state, "status.json"))
    check(status["targets"][0]["crashes"][0]["id"] == record["id"], "the status names it")
    return directory


def check_regression(workspace, directory):
    target = "//fuzz:%s_seeded" % TARGET
    status, output = workspace.test(target, BUG)
    check(status == 0, "without the file, `bazel test` does not see the bug" + (output if status else ""))
    shutil.copytree(os.path.join(directory, "regress"), os.path.join(workspace.path, "fuzz", "regress"), dirs_exist_ok=True)
    [name] = [os.path.basename(path) for path in glob.glob(os.path.join(directory, "regress", TARGET, "*"))]
    status, output = workspace.test(target, BUG)
    check(status == 3, "with the file, `bazel test` fails (status %d)" % status)
    check(name in output, "and it names " + name)
    status, output = workspace.test(target, None)
    check(status == 0, "without the bug it passes" + (output if status else ""))
    status, output = workspace.test("//fuzz:" + TARGET, None)
    check(status == 0, "and so does the target that is always tested" + (output if status else ""))


def run(options, root):
    begin = time.monotonic()
    workspace = Workspace(root, options.disk_cache)
    try:
        runner = Runner(workspace, workspace.make_programs())
        built = time.monotonic()
        try:
            most = kill_again_and_again(runner, random.Random(options.seed))
            find(runner)
        finally:
            upkeep.end_orphans(runner.state)
        edges = runner.edges()
        check(edges >= most, "%d edges at the end, at most %d before a kill" % (edges, most))
        directory = check_crash(runner)
        ran = time.monotonic()
        check_regression(workspace, directory)
        print("end_to_end: all is well: %d s for the build, %d s for %d kills and the rest, %d s for bazel test" % (
            built - begin, ran - built, KILLS, time.monotonic() - ran))
    finally:
        workspace.bazel("shutdown")


def main():
    parser = argparse.ArgumentParser(prog="end_to_end", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--disk_cache", metavar="DIR", help="as Bazel's")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments (default: the time)")
    parser.add_argument("--keep", action="store_true", help="leave all files there")
    options = parser.parse_args()
    root = tempfile.mkdtemp(prefix="end_to_end.")
    print("end_to_end: --seed=%d, in %s" % (options.seed, root), flush=True)
    try:
        run(options, root)
    except Wrong as wrong:
        print("end_to_end: NOT so: %s" % wrong, file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            # Bazel makes its output read-only.
            subprocess.call(["chmod", "-R", "u+w", root])
            shutil.rmtree(root, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
