#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many lines of each file of allocator/ the corpora of a continuous run execute: DIR/source_coverage.json.

    tools/bazel run //fuzz/continuous:source_coverage -- --state=DIR

Replays DIR/TARGET/corpus on the programs TARGET_coverage_bin, and asks llvm-cov. The corpus may change meanwhile: what is
replayed is a copy of it. An input that fails is told, and what it executed counts.
"""

import argparse
import glob
import os
import re
import shutil
import signal
import sys
import time

FOLDER = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path += [os.path.join(FOLDER, "coverage_report"), os.path.join(FOLDER, "seeded")]

import binaries  # noqa: E402
import counted_run  # noqa: E402
import files  # noqa: E402
import profiles  # noqa: E402
from trial import Failure  # noqa: E402

SOURCES = "allocator/"
SUFFIX = "_coverage_bin"
# A process replays so many inputs, and may take so long.
BATCH = 1000
BATCH_SECONDS = 300
# Of one target: with more, it is not the inputs.
FAILING_MOST = 50


def find_programs(directory):
    """target -> program"""
    paths = sorted(glob.glob(os.path.join(directory, "*" + SUFFIX)))
    if not paths:
        raise Failure("no programs %s in %s: start this by `tools/bazel run`" % ("*" + SUFFIX, directory))
    return {os.path.basename(path)[:-len(SUFFIX)]: os.path.abspath(path) for path in paths}


def copy_corpus(corpus, directory):
    """The files of the copy. What vanishes meanwhile is not needed any more."""
    copies = []
    os.mkdir(directory)
    for name in sorted(os.listdir(corpus)) if os.path.isdir(corpus) else []:
        copy = os.path.join(directory, name)
        try:
            if os.path.isfile(os.path.join(corpus, name)):
                shutil.copyfile(os.path.join(corpus, name), copy)
                copies.append(copy)
        except FileNotFoundError:
            pass
    return copies


def replay(program, inputs, directory, profile_directory, seconds=BATCH_SECONDS):
    """Runs each input once; returns those that failed or did not end."""
    environment = dict(os.environ, LLVM_PROFILE_FILE=profiles.name_in(profile_directory))
    failing, rest = [], list(inputs)
    while rest:
        batch, rest = rest[:BATCH], rest[BATCH:]
        run = counted_run.run([program] + batch, environment, directory, seconds)
        if run.status == 0:
            continue
        named = re.findall(r"^replay: .* while running (.*)$", run.output, re.M)
        if not named or named[-1] not in batch or len(failing) == FAILING_MOST:
            raise Failure("%s ended with status %s, after %d inputs that failed:\n%s" % (
                program, run.status, len(failing), run.output[-2000:]))
        failing.append(named[-1])
        rest = batch[batch.index(named[-1]) + 1:] + rest
    return failing


def replay_all(directory, programs, sources, seconds, temporary):
    """From each file to its FileCoverage."""
    written = os.path.join(temporary, "profiles")
    os.makedirs(written)
    used = []
    for target, program in programs.items():
        inputs = copy_corpus(os.path.join(directory, target, "corpus"), os.path.join(temporary, target))
        if inputs:
            used.append(program)
        for failing in replay(program, inputs, temporary, written, seconds):
            print("source_coverage: %s fails on %s" % (target, os.path.basename(failing)), file=sys.stderr)
    merged = profiles.merge(written) if used else None
    # One at a time: the engines are to have the processors.
    return profiles.read_programs(used, merged, sources, 1) if merged else {}


def collect(directory, programs, sources=SOURCES, seconds=BATCH_SECONDS):
    """What status.json has as source_coverage. directory: of the run; programs: target -> program."""
    profiles.look_for_tools()
    # In a place that a later run finds, if this one is killed.
    temporary = os.path.join(os.path.abspath(directory), ".source_coverage")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        found = replay_all(directory, programs, sources, seconds, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    lines = {path: file.items("lines") for path, file in sorted(found.items())}
    return {"time": int(time.time()), "files": [
        {"path": path, "lines": len(counts), "covered": sum(count > 0 for count in counts.values())}
        for path, counts in lines.items() if counts]}


def main(arguments):
    parser = argparse.ArgumentParser(prog="source_coverage", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", required=True, metavar="DIR")
    parser.add_argument("--programs", default=binaries.FUZZ, metavar="DIRECTORY", help="where *%s are" % SUFFIX)
    options = parser.parse_args(arguments)
    directory = os.path.join(binaries.USER_DIRECTORY, options.state)
    if not os.path.isdir(directory):
        raise Failure("there is no " + directory)
    os.nice(10)
    coverage = collect(directory, find_programs(options.programs))
    files.write_json(os.path.join(directory, "source_coverage.json"), coverage)
    lines, covered = (sum(one[name] for one in coverage["files"]) for name in ("lines", "covered"))
    print("%d of %d lines in %d files" % (covered, lines, len(coverage["files"])))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main(sys.argv[1:])
    except (Failure, profiles.Failure) as failure:
        sys.exit("source_coverage: %s" % failure)
    except KeyboardInterrupt:
        sys.exit(130)
