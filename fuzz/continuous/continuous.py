#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fuzzes every target with libFuzzer and AFL++ side by side, until it is told to end (SIGTERM, Ctrl-C) or the hours are over.

    tools/bazel run //fuzz:continuous -- --state=DIR [--targets=a,b] [--hours=H] [--jobs=N]

All that is found lies in DIR, and the next start goes on from there: DIR/TARGET/corpus, DIR/TARGET/crashes/ID for each bug, and
DIR/index.html, which says how far it is. The runner may be killed at any moment. The status is 0 when it was told to end or the
time was over, 1 when it could not go on (the disk is full), 2 when it could not begin; what was found is in DIR/status.json.
"""

import signal
import threading

STOP = threading.Event()
if __name__ == "__main__":
    # Before anything else, as what follows takes time: who is told to end then ends as well as later.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # nohup has told it to go on.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: STOP.set())

import argparse  # noqa: E402
import math  # noqa: E402
import os  # noqa: E402
import re  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "seeded")]

import binaries  # noqa: E402
import files  # noqa: E402
import instances  # noqa: E402
import status as status_files  # noqa: E402
import upkeep  # noqa: E402
from runner import Runner  # noqa: E402
from trial import Failure  # noqa: E402

POSITIVE = ("jobs", "slice", "minimise_seconds", "disk_mib", "memory_mib")
NOT_NEGATIVE = ("hours", "coverage_minutes")
STATUS_SECONDS = 5
ROOM_SECONDS = 60


def commit_of(workspace):
    """The commit of the checkout that `bazel run` was called in; empty where there is none."""
    try:
        run = subprocess.run(["git", "-C", workspace, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, timeout=10)
        return run.stdout.decode("ascii", "replace").strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


class Display:
    """One line that changes in a terminal; elsewhere a line for each slice."""

    def __init__(self, output):
        self.output, self.lock = output, threading.Lock()
        self.is_terminal, self.begun, self.width = output.isatty(), time.monotonic(), 0

    def write(self, text):
        try:
            self.output.write(text)
            self.output.flush()
        except BrokenPipeError:
            # Nobody reads it any more; that ends no fuzzing.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.output.fileno())
            os.close(nowhere)

    def note(self, text):
        with self.lock:
            self.write(("\r" + " " * self.width + "\r" if self.width else "") + text + "\n")
            self.width = 0

    def progress(self, status):
        if self.is_terminal:
            with self.lock:
                columns = os.get_terminal_size(self.output.fileno()).columns - 1
                line = status_files.progress_line(status, self.begun)[:columns]
                self.write("\r" + line.ljust(self.width))
                self.width = len(line)


def watch(runner, options, display, stop):
    """Until it is to end: the status every few seconds, room on the disk now and then."""
    end = time.monotonic() + 3600 * options.hours if options.hours else None
    next_room = time.monotonic() + ROOM_SECONDS
    while not stop.is_set() and runner.is_alive():
        if time.monotonic() >= next_room:
            runner.make_room()
            next_room = time.monotonic() + ROOM_SECONDS
        display.progress(runner.write_status(True))
        wait = STATUS_SECONDS if end is None else min(STATUS_SECONDS, end - time.monotonic())
        if wait <= 0:
            break
        stop.wait(wait)


def run(options, directory, targets, display, stop):
    held = files.lock(directory)
    try:
        orphans = upkeep.end_orphans(directory)
        if orphans:
            display.note("ended %d processes of a runner that was killed" % orphans)
        programs = sorted({instance.program for target in targets for instance in target.instances})
        try:
            runner = Runner(options, directory, targets, binaries.digest_of(programs),
                            commit_of(os.environ.get("BUILD_WORKSPACE_DIRECTORY", ".")), display.note, stop)
            runner.recover()
            runner.make_room()
        except OSError as problem:
            if problem.errno not in files.OF_THE_DISK:
                raise
            raise Failure("%s: %s" % (problem.filename or directory, problem.strerror)) from None
        runner.start()
        try:
            watch(runner, options, display, stop)
        except OSError as problem:
            runner.add_problem(problem)
        finally:
            stop.set()
            runner.end()
        return runner.finish()
    finally:
        held.close()


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="continuous", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", required=True, metavar="DIR", help="where all is kept")
    parser.add_argument("--targets", help="only these, with commas")
    parser.add_argument("--hours", type=float, default=0, help="end after so many (default 0: when told to)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="engines at a time (default: processors)")
    parser.add_argument("--slice", type=float, default=90, metavar="SECONDS", help="of CPU, of an engine (default %(default)s)")
    parser.add_argument("--minimise-seconds", type=float, default=60, metavar="SECONDS",
                        help="for each of two ways to make a failing input smaller (default %(default)s)")
    parser.add_argument("--disk-mib", type=int, default=2048, help="of DIR (default %(default)s)")
    parser.add_argument("--memory-mib", type=int, default=2560, help="of each engine (default %(default)s)")
    parser.add_argument("--coverage-minutes", type=float, default=10, metavar="MINUTES",
                        help="between measurements of the sources' coverage (default %(default)s; 0: none)")
    parser.add_argument("--programs", default=binaries.FUZZ, help=argparse.SUPPRESS)
    parser.add_argument("--variant", default="soak", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    for names, is_good, wanted in ((POSITIVE, lambda value: 0 < value < math.inf, "greater than 0"),
                                   (NOT_NEGATIVE, lambda value: 0 <= value < math.inf, "0 or greater")):
        for name in names:
            if not is_good(getattr(options, name)):
                raise Failure("--%s must be %s, and not %s" % (name.replace("_", "-"), wanted, getattr(options, name)))
    return options


def main(arguments):
    options = parse_arguments(arguments)
    directory = os.path.realpath(os.path.join(binaries.USER_DIRECTORY, options.state))
    if not re.fullmatch(r"[\w./+,:@=-]+", directory):
        raise Failure("--state: libFuzzer gives names to a shell, so %r must be of letters, digits and ./+,:@=_-" % directory)
    targets = instances.find_targets(options.programs, directory, options.variant, options.targets)
    return run(options, directory, targets, Display(sys.stdout), STOP)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        print("continuous: %s" % failure, file=sys.stderr)
        sys.exit(2)
