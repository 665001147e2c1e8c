#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One slice of an engine: runs it for so many CPU seconds, and reads what it says of itself."""

import collections
import os
import re
import shutil
import time

import counted_run
import instances
import replay
from shared_corpus import edges_of

Slice = collections.namedtuple("Slice", "cpu_seconds executions edges error")
# Statuses of libFuzzer at a failure, which is no error of the engine, and at a signal.
FAILURES = {0, 70, 71, 72, 77}
LOG_TAIL = 1 << 16
BEGUN = re.compile(r"^#\d+\t(INITED|NEW|REDUCE|RELOAD)", re.M)
WALL_MORE = 300
LOOK_SECONDS = 0.5
# An engine reads the whole corpus before it begins, AFL++ three times. That is no part of its slice, up to so many slices.
BEGIN_FACTOR = 5


class Live:
    """What a running engine has done so far, for the status."""

    def __init__(self, instance):
        self.instance, self.cpu_seconds, self.executions, self.edges = instance, 0.0, 0, None
        self.executions_before = afl_statistics(instance).get("execs_done", 0) if instance.engine == "afl" else 0
        self.looked, self.begun_at, self.old_statistics = 0.0, None, statistics_time(instance)

    def look(self, cpu_seconds):
        self.cpu_seconds = cpu_seconds
        if time.monotonic() - self.looked >= LOOK_SECONDS:
            self.looked = time.monotonic()
            self.read()

    def has_had(self, seconds):
        """Whether the slice is over."""
        if self.begun_at is None:
            return self.cpu_seconds >= BEGIN_FACTOR * seconds
        return self.cpu_seconds - self.begun_at >= seconds

    def read(self, text=None):
        if self.instance.engine == "afl":
            if self.begun_at is None and statistics_time(self.instance) != self.old_statistics:
                self.begun_at = self.cpu_seconds
            statistics = afl_statistics(self.instance)
            done = statistics.get("execs_done", 0)
            # It goes on counting where the run before stopped, unless its directory was thrown away.
            self.executions = max(0, done - self.executions_before if done >= self.executions_before else done)
            self.edges = statistics.get("edges_found", self.edges)
        else:
            text = tail_of(self.instance.log) if text is None else text
            if self.begun_at is None and BEGUN.search(text):
                self.begun_at = self.cpu_seconds
            self.executions = executions_of(text) or self.executions
            edges = edges_of(text)
            self.edges = self.edges if edges is None else edges


def executions_of(text):
    found = re.findall(r"stat::number_of_executed_units: (\d+)", text) or re.findall(r"^#(\d+)\t", text, re.M)
    return int(found[-1]) if found else 0


def tail_of(path):
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_TAIL))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def afl_statistics(instance):
    """The whole numbers of fuzzer_stats."""
    try:
        with open(os.path.join(instance.afl_directory, "fuzzer_stats"), encoding="utf-8", errors="replace") as file:
            return {name: int(value) for name, value in re.findall(r"^(\w+)\s*: (\d+)$", file.read(), re.M)}
    except FileNotFoundError:
        return {}


def statistics_time(instance):
    """When AFL++ wrote them: the first time when it begins."""
    try:
        return os.stat(os.path.join(instance.afl_directory, "fuzzer_stats")).st_mtime_ns
    except FileNotFoundError:
        return None


def missing_program(instance):
    if instance.engine == "afl" and shutil.which("afl-fuzz") is None:
        return "afl-fuzz is missing: apt-get install afl++"
    if shutil.which("setpriv") is None:
        return "setpriv is missing: apt-get install util-linux"
    return None


def run(instance, state_directory, seconds, memory_mib, question, live):
    """For so many CPU seconds, or until question()."""
    missing = missing_program(instance)
    if missing:
        return Slice(0.0, 0, None, missing)
    watch = replay.MemoryWatch(memory_mib)

    def observe(pid, cpu_seconds):
        live.look(cpu_seconds)
        if instance.engine == "afl":
            watch.observe(pid, cpu_seconds)

    # An engine does not outlive its runner.
    command = ["setpriv", "--pdeathsig", "KILL", "--"] + instance.command(seconds, memory_mib)
    result = counted_run.run(command, instance.environment(state_directory), instance.root,
                             instances.WALL_FACTOR * max(seconds, 60) + WALL_MORE, None, instance.end_signal,
                             lambda: question() or live.has_had(seconds), observe, instance.log)
    live.look(result.cpu_seconds)
    live.read(result.output)
    return Slice(result.cpu_seconds, live.executions, live.edges, error_of(instance, result, live, question))


def error_of(instance, result, live, question):
    """One line where the engine itself could not run."""
    if result.ended in ("asked", "wall") and live.begun_at is None and not question():
        return "it was not through with reading the corpus after %d CPU seconds" % result.cpu_seconds
    if instance.engine == "libfuzzer":
        bad = result.ended == "itself" and result.status not in FAILURES and result.status >= 0
    else:
        bad = result.ended == "itself" and live.begun_at is None
    if not bad:
        return None
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line).strip() for line in result.output.splitlines()]
    said = [line for line in lines if line and re.search("error|abort|cannot|unknown|No such|fail", line, re.I)]
    last = (said or [line for line in lines if line] or [""])[-1]
    return ("ended with status %s: %s" % (result.status, last))[:200]
