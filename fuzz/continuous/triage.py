#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From what an engine put down as failing to one directory per bug: run again, made smaller, told apart, and written down.

TARGET/crashes/ID/ has input, original, list.txt and program.c, crash.json, and below regress/ what
`cp -r` brings into fuzz/. TARGET/unreproducible/ID/ has what did not fail each time. ID comes from what failed, so that
a bug that is met again has its directory already, and only counts up. An artifact is removed when all this is done: a runner
that is killed before does it again, and finds out that it knows the input.
"""

import contextlib
import os
import re
import subprocess
import sys
import time

import crash_record
import failures
import files
import replay

# Inputs of one bug that are remembered, so that the same one is not counted twice.
SEEN_MOST = 1000
# Of one instance at a time; the others wait.
ARTIFACTS_MOST = 50
PRINT_SECONDS = 60


class Triage:
    """Of one target. Not safe for two threads at a time: the caller holds the target's lock for it."""

    def __init__(self, target, corpus, replayer_of, judge, minimise_seconds, build, now=time.time):
        self.target, self.corpus, self.replayer_of, self.judge = target, corpus, replayer_of, judge
        self.minimise_seconds, self.build, self.now = minimise_seconds, build, now

    def collect(self, instance):
        """AFL++'s crashes and hangs become artifacts as libFuzzer's are."""
        if instance.engine != "afl" or not os.path.isdir(instance.afl_directory):
            return
        for folder in sorted(os.listdir(instance.afl_directory)):
            kind = {"crashes": "crash", "hangs": "timeout"}.get(folder.split(".")[0])
            directory = os.path.join(instance.afl_directory, folder)
            for name in files.entries(directory) if kind else []:
                if name.startswith("id:"):
                    path = os.path.join(directory, name)
                    with contextlib.suppress(FileNotFoundError):
                        os.rename(path, os.path.join(instance.artifacts, "%s-%s" % (kind, files.sha1_of(files.read(path)))))

    def run(self, instance, is_asked_to_end):
        """Returns the identities of what is new. AFL++'s is collected by whoever has the instance."""
        new = []
        for name in files.entries(instance.artifacts)[:ARTIFACTS_MOST]:
            if is_asked_to_end():
                break
            path = os.path.join(instance.artifacts, name)
            if not re.match("(crash|timeout|oom|leak)-", name):
                files.remove(path)  # slow-unit-…: no failure
                continue
            done, identity = self.judge_one(instance, path)
            if identity:
                new.append(identity)
            if done:
                files.remove(path)
        return new

    def judge_one(self, instance, path):
        """(whether the artifact is dealt with, its identity where it is new)"""
        outcomes = [self.replayer_of(instance).run(path) for _ in range(replay.REPLAYS)]
        if None in outcomes:
            return False, None
        data = files.read(path)
        failed = [outcome for outcome in outcomes if outcome.kind]
        if len(failed) < replay.REPLAYS:
            return True, self.keep_unreproducible(instance, data, failed, os.path.basename(path))
        judge, failure = self.choose_judge(instance, path, failed[0])
        if judge is None:
            return False, None
        identity = failures.identity_of(failure.key)
        mark = "%s %s" % (files.sha1_of(data), instance.name)
        known = os.path.join(self.target.crashes, identity)
        if self.is_known(known):
            self.count(known, mark)
        elif not self.keep(instance, judge, data, failure, path, mark):
            return False, None
        else:
            known = None
        self.corpus.set_aside(files.sha1_of(data))
        return True, None if known else identity

    def choose_judge(self, instance, path, failure):
        """Whoever found it, the same bug has one name: that of the plain program, if it fails too."""
        if instance.program == self.judge.program:
            return self.judge, failure
        outcome = self.replayer_of(self.judge).run(path)
        if outcome is None:
            return None, None
        return (self.judge, outcome) if outcome.kind else (instance, failure)

    def is_known(self, directory):
        """What has this place and is no crash, such as an empty directory, makes way for the crash."""
        if crash_record.read(self.target, directory) and os.path.isfile(os.path.join(directory, "input")):
            return True
        if os.path.lexists(directory):
            files.set_aside(directory, "is not the directory of a crash")
        return False

    def count(self, directory, mark):
        """It failed with this build, whatever was said of it before."""
        record = crash_record.read(self.target, directory)
        new = dict(record, looked_at=self.build, fixed_in=None)
        if mark not in record["seen"]:
            new.update(times=record["times"] + 1, last_seen=self.now(), seen=(record["seen"] + [mark])[-SEEN_MOST:])
        if new != record:
            crash_record.write(directory, new)

    # ---- Of an earlier build ---------------------------------------------------------------------------------------

    def not_looked_at(self):
        """The crashes of which it is not known whether they fail with this build, and can be."""
        return [folder for folder in crash_record.folders(self.target.crashes) if self.inputs_of(folder)
                and (crash_record.read(self.target, folder) or {"looked_at": self.build})["looked_at"] != self.build]

    @staticmethod
    def inputs_of(directory):
        """What was made smaller may mean something else to another build."""
        return [path for path in (os.path.join(directory, name) for name in ("input", "original")) if os.path.isfile(path)]

    def look_again(self, directory):
        """True where a crash fails with this build, False where it does not; None where it was interrupted."""
        record = crash_record.read(self.target, directory)
        judge = next((one for one in self.target.instances if one.name == record["judged_by"]), self.judge)
        for path in self.inputs_of(directory):
            for _ in range(replay.REPLAYS):
                outcome = self.replayer_of(judge).run(path)
                if outcome is None:
                    return None
                if outcome.kind:
                    crash_record.write(directory, dict(record, looked_at=self.build, fixed_in=None))
                    return True
        # The first build that it did not fail with.
        crash_record.write(directory, dict(record, looked_at=self.build, fixed_in=record["fixed_in"] or self.build))
        return False

    # ---- New ones --------------------------------------------------------------------------------------------------

    def keep(self, instance, judge, data, failure, path, mark):
        """False where it was interrupted."""
        replayer, small = self.replayer_of(judge), data
        if failure.kind != "timeout":
            small = self.minimise(replayer, data, failure, path, instance)
        for small in (small, data) if small != data else (data,):
            outcomes = [replayer.run_bytes(small) for _ in range(replay.REPLAYS)]
            if None in outcomes:
                return False
            same = [outcome for outcome in outcomes if outcome.key == failure.key]
            if len(same) == replay.REPLAYS:
                break
        # The judge may see it less often than who found it.
        reproduced, failure = len(same), same[0] if same else failure
        identity = failures.identity_of(failure.key)
        with files.NewDirectory(os.path.join(self.target.crashes, identity)) as directory:
            self.write(directory, instance, judge, data, small, failure, mark, reproduced)
        return True

    def minimise(self, replayer, data, failure, path, instance):
        def is_same(candidate):
            outcome = replayer.run_bytes(candidate)
            return outcome is not None and outcome.key == failure.key

        small = data
        if replayer.instance.engine == "libfuzzer":
            smaller = replay.minimise_by_libfuzzer(replayer, path, self.minimise_seconds)
            if smaller is not None and len(smaller) < len(small):
                if is_same(smaller):
                    small = smaller
                else:
                    # It fails otherwise: another bug perhaps, to be looked at by itself.
                    name = "crash-" + files.sha1_of(smaller)
                    files.write(os.path.join(instance.artifacts, name), smaller,
                                os.path.join(self.target.work, "smaller"))
        end = time.monotonic() + self.minimise_seconds

        def is_over():
            return time.monotonic() > end or replayer.question()

        return replay.reduce(small, is_same, is_over, *(() if self.target.is_program else (1, 0)))

    def write(self, directory, instance, judge, data, small, failure, mark, reproduced):
        identity = failures.identity_of(failure.key)
        files.write(os.path.join(directory, "original"), data)
        files.write(os.path.join(directory, "input"), small)
        printed = self.print_program(directory)
        name = "%s_%s" % (failures.slug_of(failure), identity)
        regression = os.path.join("regress", self.target.name, name)
        os.makedirs(os.path.join(directory, os.path.dirname(regression)))
        files.write(os.path.join(directory, regression), small)
        place = os.path.join(self.target.name, "crashes", identity)
        crash_record.write(directory, {
            "id": identity, "kind": failure.kind, "key": failure.key, "summary": failure.summary,
            "found_by": instance.name, "judged_by": judge.name, "first_seen": self.now(), "last_seen": self.now(),
            "times": 1, "seen": [mark], "reproduced": reproduced, "replays": replay.REPLAYS,
            "original_bytes": len(data), "input_bytes": len(small), "build": self.build,
            "looked_at": self.build, "fixed_in": None, "input": place + "/input",
            "list": place + "/list.txt" if "list.txt" in printed else None,
            "program": place + "/program.c" if "program.c" in printed else None, "regression": place + "/" + regression})

    def print_program(self, directory):
        """The names of the files that it wrote. The input is what counts: without them the crash is kept as well."""
        written = []
        environment = {key: value for key, value in os.environ.items() if key != "BUILD_WORKING_DIRECTORY"}
        for name, option in (("list.txt", []), ("program.c", ["--c"])):
            command = [self.target.printer, "--target=" + self.target.name] + option + [os.path.join(directory, "input")]
            try:
                # In a session of its own: Ctrl-C is for the runner, which lets this end.
                run = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, timeout=PRINT_SECONDS, check=False, start_new_session=True)
                problem = None if run.returncode == 0 and run.stdout else "status %d, %d bytes: %s" % (
                    run.returncode, len(run.stdout), run.stderr.decode("utf-8", "replace").strip()[-200:])
            except subprocess.TimeoutExpired:
                problem = "not through after %d s" % PRINT_SECONDS
            except (FileNotFoundError, PermissionError) as error:
                problem = error.strerror
            if problem:
                print("no %s: %s: %s" % (name, " ".join(command), problem), file=sys.stderr, flush=True)
            else:
                files.write(os.path.join(directory, name), run.stdout)
                written.append(name)
        return written

    def keep_unreproducible(self, instance, data, failed, name):
        digest = files.sha1_of(data)
        path = os.path.join(self.target.unreproducible, digest[:12])
        mark = "%s %s" % (digest, instance.name)
        if self.is_known(path):
            self.count(path, mark)
            return None
        failure = failed[0] if failed else failures.Failure(
            {"oom": "memory"}.get(name.split("-")[0], name.split("-")[0]), "did not fail again", "")
        with files.NewDirectory(path) as directory:
            files.write(os.path.join(directory, "input"), data)
            place = os.path.join(self.target.name, "unreproducible", digest[:12])
            crash_record.write(directory, {
                "id": digest[:12], "kind": failure.kind, "key": failure.key, "summary": failure.summary,
                "found_by": instance.name, "first_seen": self.now(), "last_seen": self.now(), "times": 1, "seen": [mark],
                "reproduced": len(failed), "replays": replay.REPLAYS, "build": self.build,
                "looked_at": self.build, "fixed_in": None, "input": place + "/input", "list": None,
                "program": None, "regression": None})
        return digest[:12]
