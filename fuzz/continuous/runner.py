#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The runner: as many workers as there are jobs, each of which runs a slice of the engine whose turn it is, takes over what it
found, judges what failed, and now and then measures and merges the corpus."""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import threading
import time
import traceback

import counted_run
import crash_record
import engine_slice
import files
import instances
import replay
import status as status_files
import upkeep
from shared_corpus import Merger, SharedCorpus
from state import Samples, Schedule, State
from triage import Triage

# A measurement runs the whole corpus: at most one part in so many of the time.
MEASURE_SHARE = 20
IDLE_SECONDS = 0.5
LEAST_SECONDS = 2
# A worker has this long to end its engine and what it is at.
END_SECONDS = 120


class Care:
    """What is done with one target between slices; one worker at a time."""

    def __init__(self, runner, target):
        self.target, self.lock = target, threading.Lock()
        judge = next(instance for instance in target.instances if instance.program == target.programs[instances.JUDGE])
        self.corpus, self.corpus_lock = SharedCorpus(target), threading.Lock()
        replayers = {}

        def replayer_of(instance):
            return replayers.setdefault(instance.name, replay.Replayer(
                instance, runner.directory, runner.options.memory_mib, runner.is_to_end))

        self.triage = Triage(target, self.corpus, replayer_of, judge, runner.options.minimise_seconds,
                             target.build())
        self.merger = Merger(target, judge, judge.environment(runner.directory), runner.options.memory_mib,
                             runner.is_to_end)

    def take(self, instance):
        """Of an instance that does not run, and that is the caller's. Returns the number of new inputs."""
        self.triage.collect(instance)
        with self.corpus_lock:
            return self.corpus.take(instance)


class Runner:
    def __init__(self, options, directory, targets, build, commit, note, stop):
        self.options, self.directory, self.targets, self.build, self.commit = options, directory, targets, build, commit
        self.note, self.stop = note, stop
        self.state = State(directory)
        self.instances = [instance for target in targets for instance in target.instances]
        self.care = {target.name: Care(self, target) for target in targets}
        self.samples, self.live, self.workers, self.problems = {}, {}, [], []
        # By target, the crashes of an earlier build that are to be run again.
        self.outdated = {}
        self.schedule, self.disk_used, self.coverage, self.coverage_due = None, 0, None, 0

    def is_to_end(self):
        return self.stop.is_set()

    # ---- Beginning and end -----------------------------------------------------------------------------------------

    def recover(self):
        """Whatever moment the runner before was killed at."""
        for target in self.targets:
            target.make_directories()
            care, known = self.care[target.name], self.state.target(target.name)
            renamed = care.corpus.recover()
            if renamed:
                self.note("%s: %d inputs now have their SHA-1 as a name" % (target.name, renamed))
            if known["build"] != care.triage.build:
                care.corpus.put_back()
                known["build"] = care.triage.build
            care.corpus.add_seeds()
            for instance in target.instances:
                self.state.instance(instance.full_name)
                care.take(instance)
            self.outdated[target.name] = care.triage.not_looked_at()
            self.samples[target.name] = Samples(target)
        upkeep.remove_leftovers(self.directory)
        status_files.look_at_the_old_one(self.directory)
        self.schedule = Schedule(self.state, self.instances)
        self.state.write()

    def start(self):
        for _ in range(self.options.jobs):
            worker = threading.Thread(target=self.work)
            self.workers.append(worker)
            worker.start()

    def is_alive(self):
        return any(worker.is_alive() for worker in self.workers)

    def end(self):
        deadline = time.monotonic() + END_SECONDS
        for worker in self.workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        if self.coverage is not None:
            # What it has written is whole, and what it had begun is begun anew.
            counted_run.kill_tree(self.coverage.pid)
            self.coverage.wait()

    def finish(self):
        """The last of everything; the status of the program."""
        try:
            for target in self.targets:
                for instance in target.instances:
                    self.care[target.name].take(instance)
            self.state.write()
            status = self.write_status(False)
            for name, crash in [(target["name"], crash) for target in status["targets"] for crash in target["crashes"]]:
                self.note("%s %s: %s, %d times, %d of %d replays%s: %s" % (
                    name, crash["id"], crash["kind"], crash["times"], crash["reproduced"], crash["replays"],
                    ", fixed in " + crash["fixed_in"] if crash["fixed_in"] else "", crash["summary"]))
        except OSError as problem:
            # What was not taken over lies where the engine put it, for the next start.
            self.add_problem(problem)
        for problem in self.problems:
            print(problem, file=sys.stderr)
        return 1 if self.problems else 0

    def add_problem(self, problem):
        """Ends the run. A full disk and the like is one line, a mistake of the runner's is to be found from its stack."""
        if isinstance(problem, OSError) and problem.errno in files.OF_THE_DISK:
            text = "continuous: %s: %s" % (problem.filename or self.directory, problem.strerror)
        else:
            text = "".join(traceback.format_exception(problem))
        with self.state.lock:
            if text not in self.problems:
                self.problems.append(text)
        self.stop.set()

    # ---- Work ------------------------------------------------------------------------------------------------------

    def work(self):
        try:
            while not self.stop.is_set():
                if not self.judge_what_waits():
                    instance = self.schedule.next()
                    if instance is None:
                        self.stop.wait(IDLE_SECONDS)
                        continue
                    try:
                        self.run_slice(instance)
                    finally:
                        self.schedule.give_back(instance)
        except Exception as problem:  # pylint: disable=broad-except
            self.add_problem(problem)

    def run_slice(self, instance):
        """The instance is this worker's until it is given back: nobody else may touch what its engine left."""
        live, begun = engine_slice.Live(instance), time.monotonic()
        self.state.begin_slice(instance.full_name, self.options.slice)
        with self.state.lock:
            self.live[instance.full_name] = live
        self.write_state()
        try:
            result = engine_slice.run(instance, self.directory, self.options.slice, self.options.memory_mib, self.is_to_end,
                                      live)
            with self.state.lock:
                self.live.pop(instance.full_name, None)
                self.state.add_slice(instance.full_name, self.options.slice, result)
        finally:
            with self.state.lock:
                self.live.pop(instance.full_name, None)
        care, known = self.care[instance.target.name], self.state.target(instance.target.name)
        taken = care.take(instance)
        if taken:
            known["last_new_path"] = int(time.time())
        if instance.engine == "afl" and (result.error or self.disk_used > self.disk_limit):
            # What it kept is in the corpus; it begins anew with that.
            shutil.rmtree(instance.afl_directory, ignore_errors=True)
        self.write_state()
        self.note("%-12s %-20s %6.1f CPU s %9d executions %5d new inputs%s" % (
            instance.target.name, instance.name, result.cpu_seconds, result.executions, taken,
            "  FAILED: " + result.error if result.error else ""))
        # One that fails at once would otherwise be started again and again.
        self.stop.wait(max(0.0, LEAST_SECONDS - (time.monotonic() - begun)))
        if not self.stop.is_set() and care.lock.acquire(blocking=False):  # pylint: disable=consider-using-with
            try:
                self.keep_small(instance.target, taken)
            finally:
                care.lock.release()

    def judge_what_waits(self):
        """Whether there was something."""
        for target in self.targets:
            care = self.care[target.name]
            waiting = [i for i in target.instances if self.schedule.is_free(i) and files.entries(i.artifacts)]
            if not (waiting or self.outdated[target.name]):
                continue
            if care.lock.acquire(blocking=False):  # pylint: disable=consider-using-with
                try:
                    self.look_again(target)
                    # An artifact of an engine that runs may not be whole yet.
                    for instance in filter(self.schedule.hold, waiting):
                        try:
                            for identity in care.triage.run(instance, self.is_to_end):
                                self.note("%-12s %-20s FOUND %s" % (target.name, instance.name, identity))
                        finally:
                            self.schedule.give_back(instance)
                finally:
                    care.lock.release()
                return True
        return False

    def look_again(self, target):
        """Whether the crashes of an earlier build fail with this one."""
        rest = self.outdated[target.name]
        while rest and not self.is_to_end():
            if not os.path.isdir(rest[0]):
                rest.pop(0)
                continue
            fails = self.care[target.name].triage.look_again(rest[0])
            if fails is None:
                return
            self.note("%-12s %s %s" % (target.name, os.path.basename(rest.pop(0)), "still fails" if fails else (
                "is fixed in " + self.care[target.name].triage.build)))

    def keep_small(self, target, taken):
        """Measures the corpus where something is new, and merges it where it has grown."""
        care, known = self.care[target.name], self.state.target(target.name)
        since = time.time() - (known["measured"] or 0)
        is_due = care.merger.is_due(known["files_after_merge"])
        if not (is_due or known["edges"] is None or (taken and since >= MEASURE_SHARE * known["measure_seconds"])):
            return
        if is_due:
            merged = care.merger.merge()
            if merged is None:
                return
            before, after, put_away, cpu_seconds = merged
            known["merges"] += 1
            known["files_after_merge"] = len(care.corpus.names())
            self.note("%-12s merge: %d inputs put away, %s edges before, %s after, %.1f CPU s" % (
                target.name, put_away, before, after, cpu_seconds))
        edges, seconds = care.merger.measure()
        if edges is not None:
            known.update(edges=edges, measure_seconds=seconds, measured=time.time())
            executions = sum(self.state.instance(instance.full_name)["executions"] for instance in target.instances)
            self.samples[target.name].add(edges, len(care.corpus.names()), executions)
        self.write_state()

    # ---- Status and limits -----------------------------------------------------------------------------------------

    def write_state(self):
        with self.state.lock:
            self.state.write(self.live)

    def write_status(self, running):
        self.write_state()
        limits = {"disk_bytes": self.disk_limit, "disk_used_bytes": self.disk_used,
                  "memory_mib_per_engine": self.options.memory_mib}
        # A slice that ends meanwhile is still live, or in the sums: not both.
        with self.state.lock:
            status = status_files.make(self.state, self.targets, self.samples, dict(self.live), running, self.build,
                                       self.commit, limits)
        status_files.write(self.directory, status)
        return status

    @property
    def disk_limit(self):
        return self.options.disk_mib << 20

    def removables(self):
        """What may go: AFL++'s directories, then what did not fail again. What is in somebody's hands stays: an engine runs in
        it, or what it found is not taken over yet."""
        queues = [upkeep.Removable(instance.afl_directory, functools.partial(self.schedule.hold, instance),
                                   functools.partial(self.schedule.give_back, instance))
                  for instance in self.instances if instance.engine == "afl" and os.path.isdir(instance.afl_directory)]
        doubtful = [upkeep.Removable(path, functools.partial(self.care[target.name].lock.acquire, blocking=False),
                                     self.care[target.name].lock.release)
                    for target in self.targets for path in crash_record.folders(target.unreproducible)]
        return [queues, doubtful]

    def make_room(self):
        self.disk_used = upkeep.make_room(self.directory, self.targets, self.disk_limit, self.removables())
        kept = upkeep.kept_below(self.targets) if self.disk_used > self.disk_limit else 0
        if kept > self.disk_limit:
            self.problems.append("the corpus and the crashes alone take %d MiB of --disk-mib=%d" % (
                kept >> 20, self.options.disk_mib))
            self.stop.set()
        self.update_source_coverage()

    def update_source_coverage(self):
        """source_coverage.py writes DIR/source_coverage.json. In the background: replaying takes a minute or more."""
        tool = os.path.join(os.path.dirname(os.path.realpath(__file__)), "source_coverage.py")
        if not self.options.coverage_minutes or time.monotonic() < self.coverage_due:
            return
        if self.coverage is not None and self.coverage.poll() is None:
            return
        done = os.path.join(self.directory, "source_coverage.json")
        with contextlib.suppress(FileNotFoundError):
            if time.time() - os.path.getmtime(done) < 60 * self.options.coverage_minutes:
                return
        # Also where it fails.
        self.coverage_due = time.monotonic() + 60 * self.options.coverage_minutes
        command = [sys.executable, "-B", tool, "--state=" + self.directory, "--programs=" + self.options.programs]
        with open(os.path.join(self.directory, "source_coverage.log"), "w", encoding="utf-8") as log:
            self.coverage = subprocess.Popen(command, env=dict(os.environ, **{instances.MARK: self.directory}),
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
