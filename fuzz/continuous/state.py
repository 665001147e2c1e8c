#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the runner knows from one start to the next: DIR/state.json, always whole, and the samples of coverage.

What engines found is not here: it lies in files of its own, so that losing seconds of this loses no work.
"""

import json
import os
import threading
import time

import files

INSTANCE = {"cpu_seconds": 0.0, "charged_seconds": 0.0, "executions": 0, "executions_per_second": 0.0, "edges": None,
            "runs": 0, "error": None}
TARGET = {"last_new_path": None, "files_after_merge": 0, "measured": None, "measure_seconds": 0.0, "edges": None,
          "merges": 0, "build": ""}
LIVE = {"cpu_seconds": 0.0, "executions": 0}
# More in the status would make the page heavy.
SAMPLES_MOST = 400


def is_state(saved):
    """Whether state.json is one, of this version or another. What has a text has no number in its place, and so on."""
    if not files.has_kinds(saved, {"started": 0.0, "instances": {}, "targets": {}, "live": {}}):
        return False
    kinds = {"instances": dict(INSTANCE, error=str), "targets": TARGET, "live": LIVE}
    return all(files.has_kinds(known, kinds[part]) for part in kinds for known in saved.get(part, {}).values())


class State:
    """Safe for several threads."""

    def __init__(self, directory):
        self.directory, self.path = directory, os.path.join(directory, "state.json")
        self.lock = threading.RLock()
        saved = files.read_own_json(self.path, {}, is_state)
        self.started = saved.get("started", time.time())
        # A field that another version did not have has its first value.
        self.instances = {name: dict(INSTANCE, **known) for name, known in saved.get("instances", {}).items()}
        self.targets = {name: dict(TARGET, **known) for name, known in saved.get("targets", {}).items()}
        # What ran when the runner was killed, up to the last time that this was written.
        for name, live in saved.get("live", {}).items():
            known = self.instance(name)
            for field in LIVE:
                known[field] += live.get(field, 0)

    def instance(self, name):
        # One that comes later has its turns from now on, not those that it missed.
        charged = min((known["charged_seconds"] for known in self.instances.values()), default=INSTANCE["charged_seconds"])
        return self.instances.setdefault(name, dict(INSTANCE, charged_seconds=charged))

    def target(self, name):
        return self.targets.setdefault(name, dict(TARGET))

    def write(self, live=None):
        """live: name -> what a running slice has had so far."""
        with self.lock:
            files.write_json(self.path, {
                "started": self.started, "instances": self.instances, "targets": self.targets,
                "live": {name: {field: getattr(one, field) for field in LIVE} for name, one in (live or {}).items()}})

    def begin_slice(self, name, slice_seconds):
        """A slice that ends early, because its engine finds something at once or the runner is killed, was a turn too."""
        with self.lock:
            self.instance(name)["charged_seconds"] += slice_seconds / 2

    def add_slice(self, name, slice_seconds, result):
        with self.lock:
            known = self.instance(name)
            known["cpu_seconds"] += result.cpu_seconds
            known["charged_seconds"] += max(0.0, result.cpu_seconds - slice_seconds / 2)
            known["executions"] += result.executions
            known["runs"] += 1
            known["error"] = result.error
            if result.cpu_seconds > 0 and result.executions:
                known["executions_per_second"] = result.executions / result.cpu_seconds
            if result.edges is not None:
                known["edges"] = result.edges


class Samples:
    """TARGET/samples.jsonl: a line per measurement; one that was torn is left out."""

    def __init__(self, target):
        self.path = os.path.join(target.root, "samples.jsonl")
        self.points = []
        if os.path.isdir(self.path):
            files.set_aside(self.path, "is not a file")
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8", errors="replace") as file:
                for line in file:
                    try:
                        sample = json.loads(line)
                        point = [int(sample["time"]), int(sample["edges"])]
                    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                        continue
                    if all(files.is_number(number) for number in point):
                        self.points.append(point)
            if not files.read(self.path).endswith(b"\n"):
                with open(self.path, "a", encoding="utf-8") as file:
                    file.write("\n")

    def add(self, edges, corpus_files, executions):
        sample = {"time": int(time.time()), "edges": edges, "corpus_files": corpus_files, "executions": executions}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(sample) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.points.append([sample["time"], edges])

    def thinned(self):
        """The first, the last, and evenly between them."""
        count = len(self.points)
        if count <= SAMPLES_MOST:
            return list(self.points)
        return [self.points[i * (count - 1) // (SAMPLES_MOST - 1)] for i in range(SAMPLES_MOST)]


class Schedule:
    """Hands out instances: the one that was charged the fewest CPU seconds goes next."""

    def __init__(self, state, instances):
        self.state, self.waiting = state, list(instances)
        self.lock = threading.Lock()

    def next(self):
        """An instance, or None where all are running."""
        with self.lock:
            if not self.waiting:
                return None
            known = self.state.instances
            # Several at a time of different targets, where there is a choice.
            one = min(self.waiting, key=lambda i: (known[i.full_name]["charged_seconds"], known[i.full_name]["runs"]))
            self.waiting.remove(one)
            return one

    def hold(self, instance):
        """Takes this one, so that it does not run until it is given back. False where somebody has it."""
        with self.lock:
            if instance not in self.waiting:
                return False
            self.waiting.remove(instance)
            return True

    def is_free(self, instance):
        with self.lock:
            return instance in self.waiting

    def give_back(self, instance):
        with self.lock:
            self.waiting.append(instance)
