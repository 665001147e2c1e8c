#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a killed runner leaves behind, and what the disk has no room for."""

import collections
import os
import shutil
import signal
import time

import files
import instances

# Where source_coverage.py has its copies.
SOURCE_COVERAGE = ".source_coverage"


def marked_processes(state):
    """Processes that were started for this state, by an environment that all children inherit."""
    mark = ("%s=%s" % (instances.MARK, state)).encode("utf-8")
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                if mark in files.read("/proc/%s/environ" % name).split(b"\0"):
                    found.append(int(name))
            except OSError:
                pass  # it has ended, or is somebody else's
    return found


def end_orphans(state, seconds=10):
    """The lock is held, so whoever works for this state is an engine without a runner. Returns how many there were."""
    found = marked_processes(state)
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    end = time.monotonic() + seconds
    while marked_processes(state) and time.monotonic() < end:
        time.sleep(0.05)
    return len(found)


# A directory that may go; take() makes it nobody else's, or returns False, and give_back() ends that.
Removable = collections.namedtuple("Removable", "path take give_back")


def age_of(removable):
    try:
        return os.path.getmtime(removable.path)
    except FileNotFoundError:
        return 0.0


def used_below(state, targets):
    """Bytes of what belongs to these targets and to all; other targets of the same state have limits of their own. A merge in
    work/merge takes what its own files take, as its input are other names of the corpus."""
    names = files.entries(state) + [SOURCE_COVERAGE] + [target.name for target in targets]
    return files.bytes_below(*[os.path.join(state, name) for name in names])


def kept_below(targets):
    """Bytes of what is never thrown away."""
    return files.bytes_below(*[path for target in targets for path in (target.corpus, target.crashes, target.failing)])


def make_room(state, targets, limit_bytes, removables):
    """Throws away the oldest of each list of removables, one list after the other. Returns the bytes that are left: the corpus
    and the crashes are never touched, and may be more than the limit by themselves."""
    used = used_below(state, targets)
    for one in [one for group in removables for one in sorted(group, key=age_of)]:
        if used <= limit_bytes:
            break
        if one.take():
            try:
                remove(state, one.path)
            finally:
                one.give_back()
            used = used_below(state, targets)
    return used


def remove(state, path):
    """Under another name first: AFL++ would begin with half of a directory."""
    gone = os.path.join(state, ".gone")
    shutil.rmtree(gone, ignore_errors=True)
    try:
        os.rename(path, gone)
    except FileNotFoundError:
        return  # it has gone already
    shutil.rmtree(gone)


def remove_leftovers(state):
    """What a runner that was killed had begun to throw away, and the copies of a measurement that ended with it."""
    for name in (".gone", SOURCE_COVERAGE):
        shutil.rmtree(os.path.join(state, name), ignore_errors=True)
