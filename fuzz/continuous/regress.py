#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs inputs once on every engine and sanitizer, and says in a table what became of each.

    tools/bazel run //fuzz:regress -- DIR/TARGET/crashes/ID [...]      # of a continuous run
    tools/bazel run //fuzz:regress -- [--target=TARGET] FILE [...]

Without --target, the target is the last folder above an input that has a target's name. The status is 1 if any fails, and 2 if
something could not be run.
"""

import argparse
import glob
import os
import signal
import sys
import tempfile

FOLDER = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path += [os.path.join(FOLDER, "seeded"), os.path.join(FOLDER, "rules", "tools")]

import bench_report  # noqa: E402
import binaries  # noqa: E402
import counted_run  # noqa: E402
import failures  # noqa: E402
import launcher  # noqa: E402
import replay  # noqa: E402
import trial  # noqa: E402
from trial import Failure  # noqa: E402

# Engine, sanitizer, and the end of the name of what fuzzing_variant made: TARGET_…_bin.
PROGRAMS = [
    ("replay", "none", "_replay_none"),
    ("replay", "asan", "_replay_asan"),
    ("replay", "ubsan", "_replay_ubsan"),
    ("libfuzzer", "none", "_soak_libfuzzer"),
    ("libfuzzer", "asan", "_soak_asan"),
    ("afl", "none", "_soak_afl"),
]
# On the clock; libFuzzer counts by itself, and a machine may be busy.
INPUT_SECONDS = 120
# A shell's and env's where a program is not to be executed or is missing.
NOT_RUN = {126, 127}


def find_targets(directory):
    first = PROGRAMS[0][2] + "_bin"
    names = [os.path.basename(path)[:-len(first)] for path in sorted(glob.glob(os.path.join(directory, "*" + first)))]
    if not names:
        raise Failure("no programs in %s: start this by `tools/bazel run`" % directory)
    return names


def environment_of(engine):
    environment = dict(os.environ)
    for name, variable in launcher.SANITIZER_VARIABLES.items():
        if engine == "afl":
            # It insists on options of its own where a sanitizer has any, and this program has none.
            environment.pop(variable, None)
        else:
            options = filter(None, [launcher.SANITIZER_DEFAULTS.get(name), environment.get(variable)])
            environment[variable] = ":".join(options)
            environment.setdefault(name.upper() + "_SYMBOLIZER_PATH", launcher.SYMBOLIZER)
    return environment


def run_input(program, engine, path, seconds=INPUT_SECONDS):
    """A failures.Failure; failures.PASSED where nothing failed."""
    if not os.access(program, os.X_OK):
        raise Failure("there is no program %s" % program)
    with tempfile.TemporaryDirectory() as directory:
        options = ["-timeout=%d" % trial.INPUT_TIMEOUT, "-artifact_prefix=%s/" % directory] if engine == "libfuzzer" else []
        try:
            run = counted_run.run([program] + options + [path], environment_of(engine), directory, seconds)
        except OSError as problem:
            raise Failure("%s cannot be run: %s" % (program, problem.strerror)) from None
    if run.status in NOT_RUN:
        raise Failure("%s cannot be run: status %d: %s" % (program, run.status, run.output.strip()[-200:]))
    return failures.describe(replay.kind_of(run, False), run.output, run.status)


def say(failure):
    return "ok" if failure.kind is None else "%s: %s" % (failure.kind, failure.summary)


def input_of(path):
    """The file of a crash's directory, or the file itself."""
    file = os.path.join(path, "input") if os.path.isdir(path) else path
    if not os.path.isfile(file):
        raise Failure("there is no " + file)
    return file


def target_of(path, targets, wanted):
    if wanted:
        if wanted not in targets:
            raise Failure("there is no target %s; there are: %s" % (wanted, ", ".join(targets)))
        return wanted
    for name in reversed(os.path.abspath(path).split(os.sep)[:-1]):
        if name in targets:
            return name
    raise Failure("%s lies below no folder with a target's name: say it by --target" % path)


def regress(directory, paths, wanted, seconds, show=print):
    """Prints the table; returns whether all passed."""
    targets = find_targets(directory)
    inputs = [(target_of(path, targets, wanted), input_of(path), path) for path in paths]
    rows, passed = [], True
    for target, file, path in inputs:
        for engine, sanitizer, suffix in PROGRAMS:
            failure = run_input(os.path.join(directory, target + suffix + "_bin"), engine, file, seconds)
            passed = passed and failure.kind is None
            rows.append([target, os.path.basename(path), engine, sanitizer, say(failure)])
    show(bench_report.format_table(["target", "input", "engine", "sanitizer", "result"], rows, 5))
    return passed


def main(arguments):
    parser = argparse.ArgumentParser(prog="regress", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target")
    parser.add_argument("--seconds", type=int, default=INPUT_SECONDS, help="that a run may take (default %(default)s)")
    parser.add_argument("inputs", nargs="+", metavar="INPUT")
    options = parser.parse_args(arguments)
    paths = [os.path.normpath(os.path.join(binaries.USER_DIRECTORY, path)) for path in options.inputs]
    return 0 if regress(binaries.FUZZ, paths, options.target, options.seconds) else 1


def run_program(name, function):
    """Ends with the status of function(arguments), or with 2 and one line where something could not be done."""
    # What was started is ended with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(function(sys.argv[1:]))
    except Failure as failure:
        print("%s: %s" % (name, failure), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run_program("regress", main)
