#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs AFL++ with the arguments given; ../README.md says what the environment is.

AFL++ keeps its state below OUTPUT_ROOT/afl and goes on from there the next time. What it found is copied, under the names that
libFuzzer would give: its queue to the corpus, crashes and inputs that take too long to the artifacts.
"""

import glob
import hashlib
import os
import shutil
import signal
import subprocess
import sys

# Of one input, in milliseconds. AFL++ would take a small multiple of what the seeds take, which on a busy machine is less
# than what is still good.
TIMEOUT_MS = 10000

SETTINGS = {
    "AFL_AUTORESUME": "1",
    "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",
    "AFL_SKIP_CPUFREQ": "1",
    "AFL_TRY_AFFINITY": "1",
}

# What AFL++ insists on where there are options at all.
SANITIZER_SETTINGS = {
    "ASAN_OPTIONS": "abort_on_error=1:symbolize=0:detect_leaks=0",
    "MSAN_OPTIONS": "exit_code=86:abort_on_error=1:symbolize=0",
    "TSAN_OPTIONS": "abort_on_error=1:symbolize=0:halt_on_error=1",
    "UBSAN_OPTIONS": "abort_on_error=1:symbolize=0:halt_on_error=1",
}


def corpus_files(directory):
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(directory) for name in names)


def replay():
    """The driver runs the files it is given; when one fails, the names it has printed so far are lost."""
    command = [os.environ["FUZZER_BINARY"]] + sys.argv[1:]
    files = corpus_files(os.environ["FUZZER_SEED_CORPUS_DIR"])
    status = subprocess.call(command + files)
    if status == 0:
        return 0
    failed = [file for file in files if subprocess.call(command + [file]) != 0]
    for file in failed:
        print("fuzz: failed while running %s" % file, file=sys.stderr)
    if not failed:
        print("fuzz: failed on all files together, on none alone", file=sys.stderr)
    return 1


def sha1(file):
    with open(file, "rb") as data:
        return hashlib.sha1(data.read()).hexdigest()


def make_seeds(directory):
    """A copy of the corpus, and of what other runs kept, without empty files, which AFL++ does not take."""
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    files = corpus_files(os.environ["FUZZER_SEED_CORPUS_DIR"]) + corpus_files(os.environ["FUZZER_OUTPUT_CORPUS_DIR"])
    seeds = [file for file in files if os.path.getsize(file)]
    for seed in seeds:
        shutil.copyfile(seed, os.path.join(directory, sha1(seed)))
    if not seeds:
        with open(os.path.join(directory, "seed"), "wb") as output:
            output.write(b"\n")


def copy_queue(output, directory):
    """What AFL++ kept, for other engines."""
    for file in corpus_files(output):
        if os.path.basename(os.path.dirname(file)) == "queue":
            shutil.copyfile(file, os.path.join(directory, sha1(file)))


def copy_artifacts(output, directory, begin):
    for kind, folder in [("crash", "crashes"), ("timeout", "hangs")]:
        for file in sorted(glob.glob(os.path.join(output, "*", folder, "id:*"))):
            if os.stat(file).st_mtime_ns >= begin:
                shutil.copyfile(file, os.path.join(directory, "%s-%s" % (kind, sha1(file))))


def fuzz():
    if shutil.which("afl-fuzz") is None:
        sys.exit("fuzz: afl-fuzz is missing: apt-get install afl++")
    root, arguments = os.environ["FUZZER_OUTPUT_ROOT"], sys.argv[1:]
    output, seeds = os.path.join(root, "afl"), os.path.join(root, "afl_seeds")
    make_seeds(seeds)
    command = ["afl-fuzz", "-i", seeds, "-o", output]
    if os.environ["FUZZER_TIMEOUT_SECS"] != "0":
        command += ["-V", os.environ["FUZZER_TIMEOUT_SECS"]]
    if "-t" not in arguments:
        command += ["-t", str(TIMEOUT_MS)]
    if os.environ.get("FUZZER_DICTIONARY_PATH"):
        command += ["-x", os.environ["FUZZER_DICTIONARY_PATH"]]
    environment = dict(SETTINGS, **os.environ)
    for name, value in SANITIZER_SETTINGS.items():
        environment[name] = ":".join(filter(None, [os.environ.get(name), value]))
    if os.environ.get("FUZZER_AFL_MUTATOR"):
        environment.setdefault("AFL_CUSTOM_MUTATOR_LIBRARY", os.environ["FUZZER_AFL_MUTATOR"])
    if not sys.stdout.isatty():
        environment.setdefault("AFL_NO_UI", "1")

    # A file's time is that of the last tick of the clock.
    marker = os.path.join(root, "afl_begin")
    with open(marker, "wb"):
        pass
    begin = os.stat(marker).st_mtime_ns
    with subprocess.Popen(command + arguments + ["--", os.environ["FUZZER_BINARY"]], env=environment) as process:
        # It ends by itself when it is told to; what it has found by then counts.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        status = process.wait()
    copy_queue(output, os.environ["FUZZER_OUTPUT_CORPUS_DIR"])
    copy_artifacts(output, os.environ["FUZZER_ARTIFACTS_DIR"], begin)
    return status if status >= 0 else 128 - status


def main():
    return replay() if os.environ["FUZZER_IS_REGRESSION"] == "1" else fuzz()


if __name__ == "__main__":
    sys.exit(main())
