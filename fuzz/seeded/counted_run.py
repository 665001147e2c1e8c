#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a program, counts the CPU seconds of it and of all that it started, and ends it when it has used so many.

What an engine has of its own for this is wall time, which on a busy machine says little. So the processes are asked several
times a second what they have used; at the end the kernel's own sum counts where it is greater.
"""

import collections
import os
import signal
import subprocess
import tempfile
import threading
import time

# status: as of subprocess; None where the program had to be killed.
# ended: "itself", "budget" (of CPU seconds), "asked" (by a caller's question), "wall" (took far too long) or "stopped".
Run = collections.namedtuple("Run", "status ended cpu_seconds output")

POLL_SECONDS = 0.2
# From the request to end until a program is killed: AFL++ and libFuzzer finish the input that they are at.
GRACE_SECONDS = 20
TICKS = os.sysconf("SC_CLK_TCK")
# Set: all runs end at once, and none begins.
STOP = threading.Event()


def parse_stat(text):
    """Parent and CPU ticks, those of children that were waited for included, of a line of /proc/PID/stat."""
    fields = text[text.rindex(")") + 2:].split()
    return int(fields[1]), sum(int(field) for field in fields[11:15])


def read_processes():
    """pid -> (parent, ticks)"""
    processes = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, encoding="utf-8", errors="replace") as stat:
                    processes[int(name)] = parse_stat(stat.read())
            except (OSError, ValueError):
                pass  # it has just ended
    return processes


def tree_of(pid, processes):
    """pid and its descendants. AFL++ puts what it starts into a session of its own, so that a process group is not enough."""
    children = collections.defaultdict(list)
    for child, (parent, _) in processes.items():
        children[parent].append(child)
    tree, rest = [], [pid]
    while rest:
        one = rest.pop()
        tree.append(one)
        rest += children[one]
    return tree


def cpu_seconds_of(pid):
    processes = read_processes()
    return sum(processes[one][1] for one in tree_of(pid, processes) if one in processes) / TICKS


def kill_tree(pid):
    for one in tree_of(pid, read_processes()):
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            pass


class _Watched:
    """A child that was started; os.wait4 has the kernel's sum of CPU seconds, for this child alone."""

    def __init__(self, process):
        self.process, self.status, self.usage = process, None, 0.0

    def has_ended(self):
        if self.status is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.usage = usage.ru_utime + usage.ru_stime
                self.status = self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while not self.has_ended() and time.monotonic() < end:
            time.sleep(0.01)
        return self.has_ended()


def _why_to_end(used, budget, begin, wall_limit, question):
    if STOP.is_set():
        return "stopped"
    if question and question():
        return "asked"
    if budget is not None and used >= budget:
        return "budget"
    return "wall" if time.monotonic() - begin > wall_limit else None


def run(command, environment, directory, wall_limit, budget=None, end_signal=signal.SIGTERM, question=None, observe=None,
        log=None):
    """Runs until it ends itself, has used budget CPU seconds, question() is true, or wall_limit seconds have passed.

    It is told to end by end_signal. Output and errors are one text, which also stays in the file log where one is named.
    observe is called several times a second with the process's number and its CPU seconds so far.
    """
    with open(log, "w+b") if log else tempfile.TemporaryFile() as output:
        begin, used, ended = time.monotonic(), 0.0, "itself"
        process = subprocess.Popen(command, env=environment, cwd=directory, stdout=output, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, start_new_session=True)
        watched = _Watched(process)
        killed = False
        try:
            while not watched.wait(POLL_SECONDS):
                used = max(used, cpu_seconds_of(process.pid))
                if observe:
                    observe(process.pid, used)
                why = _why_to_end(used, budget, begin, wall_limit, question)
                if why:
                    ended = why
                    if why != "stopped":
                        os.kill(process.pid, end_signal)  # send_signal() of subprocess would reap it
                        watched.wait(GRACE_SECONDS)
                    used = max(used, cpu_seconds_of(process.pid))
                    break
        finally:
            if not watched.has_ended():
                killed = True
                kill_tree(process.pid)
                watched.wait(GRACE_SECONDS)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    return Run(None if killed else watched.status, ended, max(used, watched.usage), text)
