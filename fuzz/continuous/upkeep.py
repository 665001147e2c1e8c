#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a killed runner leaves behind, and what the disk has no room for."""

import os
import shutil
import signal
import time

import files
import instances


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


def make_room(state, targets, limit_bytes, is_running):
    """Throws away the oldest AFL++ directories, then the oldest of what did not fail again. Returns the bytes that are left:
    the corpus and the crashes are never touched, and may be more than the limit by themselves."""
    used = files.bytes_below(state)
    if used <= limit_bytes:
        return used
    queues = [instance.afl_directory for target in targets for instance in target.instances
              if instance.engine == "afl" and not is_running(instance) and os.path.isdir(instance.afl_directory)]
    doubtful = [os.path.join(target.unreproducible, name) for target in targets
                for name in os.listdir(target.unreproducible) if not name.startswith(".")]
    for path in sorted(queues, key=os.path.getmtime) + sorted(doubtful, key=os.path.getmtime):
        if used <= limit_bytes:
            break
        used -= files.bytes_below(path)
        # Under another name first: AFL++ would begin with half of a directory.
        gone = os.path.join(state, ".gone")
        shutil.rmtree(gone, ignore_errors=True)
        os.rename(path, gone)
        shutil.rmtree(gone)
    return files.bytes_below(state)
