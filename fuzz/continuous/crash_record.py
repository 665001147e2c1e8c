#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TARGET/crashes/ID/crash.json, and the same below unreproducible/: what is known of a failure. Owns which fields it has.

The input is what counts. A record that is damaged or missing is made anew from the files beside it.
"""

import os
import re

import files
import replay

NAME = "crash.json"
UNKNOWN = "unknown"
# Of the fields that are read again. str: a text or none.
KINDS = {"id": "", "kind": "", "key": "", "summary": "", "found_by": "", "judged_by": str, "first_seen": 0.0, "last_seen": 0.0,
         "times": 0, "seen": [], "reproduced": 0, "replays": 0, "build": "", "looked_at": "", "fixed_in": str, "input": "",
         "list": str, "program": str, "regression": str}


def folders(root):
    """The directories of failures. A file in a place where one may have to come is set aside."""
    found = []
    for name in sorted(os.listdir(root)):
        path = os.path.join(root, name)
        if name.startswith(".") or re.search(re.escape(files.BAD) + r"\d*$", name):
            continue
        if os.path.isdir(path):
            found.append(path)
        else:
            files.set_aside(path, "is not the directory of a crash")
    return found


def from_files(target, directory):
    """What can be said without a record."""
    name = os.path.basename(directory)
    place = os.path.join(target.name, os.path.basename(os.path.dirname(directory)), name)

    def if_there(*parts):
        return os.path.join(place, *parts) if os.path.isfile(os.path.join(directory, *parts)) else None

    regressions = files.entries(os.path.join(directory, "regress", target.name))
    moment = os.stat(directory).st_mtime
    return {"id": name, "kind": "crash", "key": "", "summary": UNKNOWN, "found_by": UNKNOWN, "judged_by": None,
            "first_seen": moment, "last_seen": moment, "times": 1, "seen": [], "reproduced": 0, "replays": replay.REPLAYS,
            "build": "", "looked_at": "", "fixed_in": None, "input": if_there("input"), "list": if_there("list.txt"),
            "program": if_there("program.c"),
            "regression": if_there("regress", target.name, regressions[0]) if regressions else None}


def read(target, directory):
    """None where there is no failure. What another version did not write is added."""
    if not os.path.isdir(directory):
        return None
    record = files.read_own_json(os.path.join(directory, NAME), None, lambda value: files.has_kinds(value, KINDS))
    rest = from_files(target, directory)
    if record is None:
        if rest["input"] is None:
            return None
        write(directory, rest)
        return rest
    record.setdefault("looked_at", record.get("build", ""))
    # A file that is gone is not told of.
    gone = {name: None for name in ("list", "program", "regression") if rest[name] is None}
    return dict(rest, **dict(record, **gone))


def write(directory, record):
    files.write_json(os.path.join(directory, NAME), record)
