#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the engine of a fuzzing binary: what NAME_run and, with --regression, the test NAME are.

    tools/bazel run --config=asan-libfuzzer //package:NAME_run -- [FLAG ...] [-- ARGUMENT OF THE ENGINE ...]

Below the output root, corpus/ has the inputs that the engine keeps and artifacts/ what made the target fail. When the engine
ends, the new artifacts are listed, and the status says whether there are any.
"""

import argparse
import configparser
import os
import shutil
import signal
import subprocess
import sys
import tempfile

# The variables of the engine's environment that a file comes in.
FILE_VARIABLES = {
    "afl_mutator": "FUZZER_AFL_MUTATOR",
    "binary": "FUZZER_BINARY",
    "corpus": "FUZZER_SEED_CORPUS_DIR",
    "dictionary": "FUZZER_DICTIONARY_PATH",
}
# Those that a section of the options file is appended to.
SANITIZER_VARIABLES = {"asan": "ASAN_OPTIONS", "msan": "MSAN_OPTIONS", "tsan": "TSAN_OPTIONS", "ubsan": "UBSAN_OPTIONS"}
# What a user's own setting overrides.
SANITIZER_DEFAULTS = {"asan": "allocator_may_return_null=1:detect_stack_use_after_return=1", "ubsan": "print_stacktrace=1"}
SYMBOLIZER = "/usr/lib/llvm-19/bin/llvm-symbolizer"
# In the options file, but a matter of the launcher.
IGNORED_OPTIONS = {"dict"}


def parse_arguments(arguments):
    """Returns the options, and the arguments for the engine."""
    own, others = arguments, []
    if "--" in arguments:
        split = arguments.index("--")
        own, others = arguments[:split], arguments[split + 1:]
    parser = argparse.ArgumentParser(prog="NAME_run", allow_abbrev=False, description=__doc__.split("\n\n")[0],
                                     epilog="what follows after -- is for the engine")
    parser.add_argument("--clean", action="store_true", help="remove what earlier runs left below the output root")
    parser.add_argument("--fuzzing_output_root", metavar="DIRECTORY", help="default: /tmp/fuzzing/NAME")
    parser.add_argument("--regression", action="store_true", help="run the files of the corpus once")
    parser.add_argument("--timeout_secs", metavar="N", type=int, default=0, help="end after so many seconds")
    # From the rule.
    for name in ["target_name", "engine_launcher", "options", "sanitizer"] + sorted(FILE_VARIABLES):
        parser.add_argument("--" + name, help=argparse.SUPPRESS)
    return parser.parse_args(own), others


def read_options(path):
    """The sections of an options file as dictionaries."""
    if not path:
        return {}
    parser = configparser.ConfigParser()
    parser.read(path)
    return {section: dict(parser[section]) for section in parser.sections()}


def output_root(options):
    if options.fuzzing_output_root:
        # `bazel run` starts it elsewhere.
        start = os.environ.get("BUILD_WORKING_DIRECTORY", "")
        return os.path.abspath(os.path.join(start, options.fuzzing_output_root))
    if options.regression and os.environ.get("TEST_TMPDIR"):
        return tempfile.mkdtemp(prefix="fuzz.", dir=os.environ["TEST_TMPDIR"])
    return os.path.join("/tmp/fuzzing", options.target_name)


def make_environment(options, root):
    environment = dict(os.environ)
    for name, variable in FILE_VARIABLES.items():
        if getattr(options, name):
            environment[variable] = os.path.abspath(getattr(options, name))
    environment.update({
        "FUZZER_ARTIFACTS_DIR": os.path.join(root, "artifacts"),
        "FUZZER_IS_REGRESSION": str(int(options.regression)),
        "FUZZER_OUTPUT_CORPUS_DIR": os.path.join(root, "corpus"),
        "FUZZER_OUTPUT_ROOT": root,
        "FUZZER_TIMEOUT_SECS": str(options.timeout_secs),
    })
    sections = read_options(options.options)
    environment["FUZZER_LIBFUZZER_OPTIONS"] = " ".join(
        "-%s=%s" % item for item in sections.get("libfuzzer", {}).items() if item[0] not in IGNORED_OPTIONS)
    for name, variable in SANITIZER_VARIABLES.items():
        parts = [SANITIZER_DEFAULTS.get(name, "")] if name in options.sanitizer.split("-") else []
        parts += ["%s=%s" % item for item in sections.get(name, {}).items()]
        parts.append(os.environ.get(variable, ""))
        if any(parts):
            environment[variable] = ":".join(filter(None, parts))
        if os.path.exists(SYMBOLIZER):
            environment.setdefault(name.upper() + "_SYMBOLIZER_PATH", SYMBOLIZER)
    return environment


def find_artifacts(directory):
    """Their names, and when they were written."""
    return {(entry.path, entry.stat().st_mtime_ns) for entry in os.scandir(directory) if entry.is_file()}


def fuzz(command, environment):
    """Runs the engine; returns its status."""
    artifacts = environment["FUZZER_ARTIFACTS_DIR"]
    before = find_artifacts(artifacts)
    with subprocess.Popen(command, env=environment) as process:
        # Ctrl-C reaches the engine too, which ends in order.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        status = process.wait()
    found = sorted(path for path, _ in find_artifacts(artifacts) - before)
    binary = os.path.realpath(environment["FUZZER_BINARY"])
    for path in found:
        print("fuzz: found %s\n    again: %s %s" % (path, binary, path), file=sys.stderr)
    if not found:
        print("fuzz: found nothing; the inputs are in %s" % environment["FUZZER_OUTPUT_ROOT"], file=sys.stderr)
    return status if status > 0 else 128 - status if status < 0 else int(bool(found))


def main(arguments):
    options, others = parse_arguments(arguments)
    root = output_root(options)
    if options.clean:
        shutil.rmtree(root, ignore_errors=True)
    environment = make_environment(options, root)
    for name in ["FUZZER_ARTIFACTS_DIR", "FUZZER_OUTPUT_CORPUS_DIR"]:
        os.makedirs(environment[name], exist_ok=True)
    command = [os.path.abspath(options.engine_launcher)] + others
    if options.regression:
        os.execve(command[0], command, environment)
    return fuzz(command, environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
