#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The corpus that a target's engines share: one directory, in which a file's name is the SHA-1 of what is in it.

A file appears in it by a rename, whole. Only a merge takes files out, one by one, and only those that the files that stay
make superfluous, so that at whatever moment the runner is killed the corpus covers what it covered before.
"""

import os
import re
import shutil
import signal
import subprocess

import counted_run
import files

SEED = bytes(16)
# A merge is due when there are so many times the files that the last one left, and so many more.
MERGE_FACTOR = 1.3
MERGE_MORE = 100
MERGE_WALL = 1800
MEASURE_WALL = 600
MEASUREMENTS = 3
# In the same order each time, the smallest first.
MEASURE = ["-runs=0", "-shuffle=0", "-seed=1"]
DONE_BEFORE = "merge has been completed before"
QUEUE = re.compile(r"id:\d+,")


class SharedCorpus:
    """Not safe for two threads at a time: the caller holds the target's lock."""

    def __init__(self, target):
        self.target = target
        self.incoming, self.merging = os.path.join(target.work, "incoming"), os.path.join(target.work, "merge")

    def recover(self):
        """After a runner that was killed, and for what somebody copied here: gives each file the name that it should have.
        Returns how many had another."""
        shutil.rmtree(self.incoming, ignore_errors=True)
        renamed = 0
        for name in files.entries(self.target.corpus):
            path = os.path.join(self.target.corpus, name)
            data = files.read(path)
            if files.sha1_of(data) != name:
                self.add(data)
                os.unlink(path)
                renamed += 1
        return renamed

    def names(self):
        return files.entries(self.target.corpus)

    def add(self, data):
        """Whether it is new here. What fails stays out, and so does what is empty, which AFL++ does not take."""
        name = files.sha1_of(data)
        path = os.path.join(self.target.corpus, name)
        if not data or os.path.exists(path) or os.path.exists(os.path.join(self.target.failing, name)):
            return False
        os.makedirs(self.incoming, exist_ok=True)
        files.write(path, data, os.path.join(self.incoming, name))
        return True

    def add_seeds(self):
        """What is committed; engines need one file at least."""
        for folder, _, names in os.walk(self.target.seeds or ""):
            for name in names:
                self.add(files.read(os.path.join(folder, name)))
        if not self.names():
            self.add(SEED)

    def take(self, instance):
        """Takes over what an engine kept. Returns the number of new files."""
        taken = self._take_queue(instance) if instance.engine == "afl" else self._take_new(instance)
        if taken:
            files.sync_directory(self.target.corpus)
        return taken

    def _take_new(self, instance):
        taken = 0
        for name in files.entries(instance.new):
            path = os.path.join(instance.new, name)
            taken += self.add(files.read(path))
            os.unlink(path)
        return taken

    def _take_queue(self, instance):
        """A queue stays with AFL++. What was taken from it is noted, as a merge may have put it away since."""
        queue, note = os.path.join(instance.afl_directory, "queue"), os.path.join(instance.root, "taken.json")
        known = set(files.read_own_json(note, [], lambda value: isinstance(value, list) and all(
            isinstance(name, str) for name in value)))
        now, taken = set(), 0
        for name in files.entries(queue):
            if QUEUE.match(name):
                try:
                    data = files.read(os.path.join(queue, name))
                except FileNotFoundError:
                    continue  # whoever threw the queue away meanwhile had a reason
                digest = files.sha1_of(data)
                now.add(digest)
                if digest not in known and ",sync:" not in name:
                    taken += self.add(data)
        if now != known:
            files.write_json(note, sorted(now))
        return taken

    def set_aside(self, digest):
        """An input that fails stops every engine that reads it: until there is another build it is kept elsewhere."""
        path = os.path.join(self.target.corpus, digest)
        if os.path.exists(path):
            os.rename(path, os.path.join(self.target.failing, digest))

    def put_back(self):
        """What failed with an earlier build is tried again."""
        for name in files.entries(self.target.failing):
            os.rename(os.path.join(self.target.failing, name), os.path.join(self.target.corpus, name))


def fixed_addresses():
    """The words before a command that have it run at the same addresses each time: some edges depend on them. None where
    the system, such as a container, does not allow that; then a measurement may vary."""
    command = ["setarch", "-R"]
    try:
        is_allowed = subprocess.call(command + ["true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except FileNotFoundError:
        is_allowed = False
    return command if is_allowed else []


class Merger:
    """Measures the corpus, and puts away what adds nothing. libFuzzer does both."""

    def __init__(self, target, judge, environment, memory_mib, question):
        self.target, self.judge, self.environment, self.question = target, judge, environment, question
        self.options, self.before = judge.libfuzzer_options(memory_mib), fixed_addresses()
        self.corpus = SharedCorpus(target)
        self.input, self.output = (os.path.join(self.corpus.merging, name) for name in ("input", "output"))
        self.control, self.merged = (os.path.join(self.corpus.merging, name) for name in ("control", "merged"))

    def _run(self, arguments, wall):
        command = self.before + [self.judge.program] + self.options
        command += ["-artifact_prefix=%s/" % self.judge.artifacts] + arguments
        return counted_run.run(command, self.environment, self.target.work, wall, end_signal=signal.SIGTERM,
                               question=self.question)

    def measure(self, directory=None):
        """Edges of a directory and the CPU seconds that it took; None for edges where it could not be said."""
        empty = os.path.join(self.target.work, "empty")
        os.makedirs(empty, exist_ok=True)
        run = self._run(MEASURE + [empty, directory or self.target.corpus], MEASURE_WALL)
        return (edges_of(run.output) if run.ended == "itself" and run.status == 0 else None), run.cpu_seconds

    def is_due(self, files_after_last):
        count = len(self.corpus.names())
        return os.path.isdir(self.corpus.merging) or (
            count >= MERGE_FACTOR * files_after_last and count >= files_after_last + MERGE_MORE)

    def merge(self):
        """One that was interrupted is taken up again. Returns (edges before, edges after, files put away, CPU seconds), or
        None where it was interrupted or failed: then nothing was put away."""
        self._begin()
        cpu_seconds = 0.0
        if not os.path.exists(self.merged):
            run = self._merge()
            cpu_seconds += run.cpu_seconds
            if run.ended == "asked":
                return None
            if run.ended != "itself" or run.status != 0:
                shutil.rmtree(self.corpus.merging)
                return None
            files.write(self.merged, "")
        before, more = self.measure(self.input)
        cpu_seconds += more
        # Where addresses are others each time, one time that shows as many is enough.
        after = None
        for _ in range(MEASUREMENTS):
            now, more = self.measure(self.output)
            cpu_seconds += more
            after = max((edges for edges in (after, now) if edges is not None), default=None)
            if before is None or after is None or after >= before:
                break
        put_away = 0
        if before is not None and after is not None and after >= before:
            try:
                kept = set(files.entries(self.output)) | unprocessed(self.control)
            except (OSError, ValueError, IndexError):
                # What libFuzzer wrote may be lost with the power.
                shutil.rmtree(self.corpus.merging)
                return None
            put_away = self._put_away(kept)
        elif self.question():
            return None
        done = self.corpus.merging + ".done"
        shutil.rmtree(done, ignore_errors=True)
        os.rename(self.corpus.merging, done)
        shutil.rmtree(done)
        return before, after, put_away, cpu_seconds

    def _put_away(self, kept):
        """All that was merged but what is kept, if that is still there. Returns their number."""
        names = set(self.corpus.names())
        superfluous = sorted((set(files.entries(self.input)) & names) - kept) if kept <= names else []
        for name in superfluous:
            os.unlink(os.path.join(self.target.corpus, name))
        return len(superfluous)

    def _merge(self):
        """With the output of one that was killed libFuzzer would begin anew, and with none it says that all is done already
        where the control file is whole: then there is no output, and only the file can go."""
        while True:
            shutil.rmtree(self.output, ignore_errors=True)
            os.makedirs(self.output)
            run = self._run(["-merge=1", "-merge_control_file=" + self.control, self.output, self.input], MERGE_WALL)
            if DONE_BEFORE not in run.output:
                return run
            os.unlink(self.control)

    def _begin(self):
        """What is merged are links to the files of this moment; what comes to the corpus meanwhile is not touched."""
        if os.path.isdir(self.corpus.merging):
            return
        with files.NewDirectory(self.corpus.merging) as directory:
            os.mkdir(os.path.join(directory, "input"))
            for name in self.corpus.names():
                os.link(os.path.join(self.target.corpus, name), os.path.join(directory, "input", name))


def unprocessed(control):
    """Names of the inputs that a merge left out because it was killed, or they failed or took too long, while it ran them.

    A control file has the number of files, how many of them are kept in any case, their paths, and then lines like
    "STARTED 7 12" and, when that is over, "FT 7 ...".
    """
    with open(control, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    count = int(lines[0])
    done = {int(line.split()[1]) for line in lines[2 + count:] if line.startswith("FT ")}
    return {os.path.basename(path) for number, path in enumerate(lines[2:2 + count]) if number not in done}


def edges_of(text):
    """The last number of edges in libFuzzer's output."""
    found = re.findall(r"\bcov: (\d+)", text)
    return int(found[-1]) if found else None
