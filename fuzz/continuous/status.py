#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""DIR/status.json and DIR/index.html: all that is known, for people and programs."""

import html
import os
import time
import traceback

import crash_record
import files
import status_page

CRASH_FIELDS = ["id", "kind", "found_by", "first_seen", "times", "reproduced", "replays", "summary", "input", "list",
                "program", "regression", "fixed_in"]
COVERAGE, COVERED_FILE = {"time": 0.0, "files": []}, {"path": "", "lines": 0, "covered": 0}


def crashes_of(target):
    """Those that failed each time first."""
    found = []
    for directory in (target.crashes, target.unreproducible):
        for folder in crash_record.folders(directory):
            record = crash_record.read(target, folder)
            if record:
                found.append({field: record[field] for field in CRASH_FIELDS})
    return found


def instance_status(instance, known, live):
    running = {"cpu_seconds": 0.0, "executions": 0} if live is None else {
        "cpu_seconds": live.cpu_seconds, "executions": live.executions}
    rate, edges = known["executions_per_second"], known["edges"]
    if live is not None:
        if live.cpu_seconds > 0 and live.executions:
            rate = live.executions / live.cpu_seconds
        edges = edges if live.edges is None else live.edges
    return {"name": instance.name, "engine": instance.engine, "mutator": instance.mutator, "sanitizer": instance.sanitizer,
            "state": "running" if live is not None else "failed" if known["error"] else "waiting",
            "cpu_seconds": round(known["cpu_seconds"] + running["cpu_seconds"], 2),
            "executions": known["executions"] + running["executions"], "executions_per_second": round(rate, 1),
            "edges": edges, "runs": known["runs"], "error": known["error"]}


def target_status(target, state, samples, live):
    names = files.entries(target.corpus)
    size = 0
    for name in names:
        try:
            size += os.path.getsize(os.path.join(target.corpus, name))
        except FileNotFoundError:
            pass
    return {"name": target.name, "corpus_files": len(names), "corpus_bytes": size,
            "last_new_path": state.target(target.name)["last_new_path"],
            "instances": [instance_status(instance, state.instance(instance.full_name), live.get(instance.full_name))
                          for instance in target.instances],
            "coverage_over_time": samples.thinned(), "crashes": crashes_of(target)}


def has_all(value, kinds):
    return files.has_kinds(value, kinds) and set(kinds) <= set(value)


def is_source_coverage(value):
    return has_all(value, COVERAGE) and all(has_all(one, COVERED_FILE) for one in value["files"])


def make(state, targets, samples, live, running, build, commit, limits):
    with state.lock:
        return {"version": 1, "started": int(state.started), "now": int(time.time()), "running": running, "build": build,
                "commit": commit, "limits": limits,
                "targets": [target_status(target, state, samples[target.name], live) for target in targets],
                "source_coverage": files.read_own_json(os.path.join(state.directory, "source_coverage.json"), None,
                                                       is_source_coverage)}


def write(directory, status):
    files.write_json(os.path.join(directory, "status.json"), status)
    try:
        page = status_page.render(status)
    except Exception:  # pylint: disable=broad-except
        # A mistake in the page is no reason to stop fuzzing: it is to be seen where the page would be.
        page = "<pre>%s</pre>\n" % html.escape(traceback.format_exc())
    files.write(os.path.join(directory, "index.html"), page)


def look_at_the_old_one(directory):
    """It is about to be written over, which only one of ours may be."""
    files.read_own_json(os.path.join(directory, "status.json"), None,
                        lambda value: has_all(value, {"version": 0, "targets": []}))


def progress_line(status, started_now):
    """What fits into a line of a terminal."""
    seconds = int(time.monotonic() - started_now)
    instances = [instance for target in status["targets"] for instance in target["instances"]]
    crashes = [crash for target in status["targets"] for crash in target["crashes"] if crash["regression"]]
    running = ["%s %s" % (target["name"], instance["name"]) for target in status["targets"]
               for instance in target["instances"] if instance["state"] == "running"]
    return "%d:%02d:%02d  %d inputs  %s executions  %d crashes  %s" % (
        seconds // 3600, seconds // 60 % 60, seconds % 60, sum(target["corpus_files"] for target in status["targets"]),
        "{:,}".format(sum(instance["executions"] for instance in instances)), len(crashes), ", ".join(running))
