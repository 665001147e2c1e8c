#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What runs: targets, the engines of each, and the command of each engine."""

import glob
import os
import signal

import binaries
import trial
from trial import Failure

# The name of an instance -> engine, mutator, what its program is called in //fuzz, sanitizer.
INSTANCES = {
    "libfuzzer_structured": ("libfuzzer", "structured", "libfuzzer", "none"),
    "libfuzzer_bytes": ("libfuzzer", "bytes", "libfuzzer", "none"),
    "libfuzzer_asan": ("libfuzzer", "structured", "asan", "asan"),
    "afl_structured": ("afl", "structured", "afl", "none"),
    "afl_bytes": ("afl", "bytes", "afl", "none"),
}
# Judges crashes, merges and measures: the fastest program that tells most.
JUDGE = "libfuzzer"
# As fuzz/rules/tools/launcher.py.
ASAN_OPTIONS = "allocator_may_return_null=1:detect_stack_use_after_return=1"
SYMBOLIZER = "/usr/lib/llvm-19/bin/llvm-symbolizer"
# In every engine's environment, and so in that of all that it starts: what a killed runner left is found by it.
MARK = "FUZZ_CONTINUOUS_STATE"
# Engines end themselves after so many times their CPU seconds on the clock, if nobody is there to end them.
WALL_FACTOR = 20
AFL_SETTINGS = dict({name: value for name, value in trial.AFL_SETTINGS.items() if name != "AFL_BENCH_UNTIL_CRASH"}, **{
    # Go on from its own directory where there is one, and take what is new in the corpus first.
    "AFL_AUTORESUME": "1",
    "AFL_IMPORT_FIRST": "1",
    # Three runs of each input at the start, not eight.
    "AFL_FAST_CAL": "1",
    "AFL_NO_CRASH_README": "1",
})


class Target:
    """A target with its programs and its part of the state."""

    def __init__(self, name, directory, state, variant):
        self.name, self.root = name, os.path.join(state, name)
        self.corpus, self.crashes = os.path.join(self.root, "corpus"), os.path.join(self.root, "crashes")
        self.unreproducible, self.failing = os.path.join(self.root, "unreproducible"), os.path.join(self.root, "failing")
        self.work = os.path.join(self.root, "work")
        self.afl_output = os.path.join(self.work, "afl")
        prefix = os.path.join(directory, "%s_%s_" % (name, variant))
        self.programs = {kind: prefix + kind + "_bin" for kind in sorted({i[2] for i in INSTANCES.values()})
                         if os.path.exists(prefix + kind + "_bin")}
        seeds = [os.path.join(directory, name + middle + "_corpus") for middle in ("", "_" + variant)]
        self.seeds = next((path for path in seeds if os.path.isdir(path)), None)
        dictionary = os.path.join(directory, name + ".dict")
        self.dictionary = dictionary if os.path.exists(dictionary) else None
        # The mutator of operations is for programs alone; that it is linked in is seen in libFuzzer's program.
        self.is_program = binaries.has_word(self.programs[JUDGE], b"FUZZ_MUTATOR")
        self.mutator = os.path.join(directory, "op", "libop_mutator.so")
        self.printer = os.path.join(directory, "op", "print_program")
        self.instances = [Instance(self, name) for name, (_, mutator, kind, sanitizer) in INSTANCES.items()
                          if kind in self.programs and (self.is_program or mutator == "bytes" or sanitizer != "none")]

    def build(self):
        """What tells its programs from others."""
        return binaries.digest_of(sorted({instance.program for instance in self.instances}))

    def make_directories(self):
        for directory in [self.corpus, self.crashes, self.unreproducible, self.failing, self.work] + [
                path for instance in self.instances for path in (instance.new, instance.artifacts)]:
            os.makedirs(directory, exist_ok=True)


class Instance:
    """One engine on one target."""

    def __init__(self, target, name):
        self.target, self.name = target, name
        self.engine, self.mutator, kind, self.sanitizer = INSTANCES[name]
        if not target.is_program:
            self.mutator = "bytes"
        self.program = target.programs[kind]
        self.root = os.path.join(target.work, name)
        # What libFuzzer keeps until it is taken over into the corpus; what failed until it is judged.
        self.new, self.artifacts = os.path.join(self.root, "new"), os.path.join(self.root, "artifacts")
        self.log = os.path.join(self.root, "log.txt")
        self.full_name = target.name + " " + name
        self.end_signal = signal.SIGUSR1 if self.engine == "libfuzzer" else signal.SIGINT

    @property
    def afl_directory(self):
        return os.path.join(self.target.afl_output, self.name)

    def environment(self, state, symbolize=False):
        environment = dict(os.environ, **{MARK: state})
        if self.engine == "afl":
            # It insists on options of its own where a sanitizer has any, and this program has none.
            for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
                environment.pop(name, None)
            environment.update(AFL_SETTINGS)
            if self.mutator == "structured":
                environment["AFL_CUSTOM_MUTATOR_LIBRARY"] = self.target.mutator
            return environment
        environment["UBSAN_OPTIONS"] = "exitcode=77:symbolize=%d" % symbolize
        environment["ASAN_OPTIONS"] = ":".join(filter(None, [
            ASAN_OPTIONS, "symbolize=%d" % symbolize, environment.get("ASAN_OPTIONS")]))
        for name in ("ASAN", "UBSAN"):
            environment.setdefault(name + "_SYMBOLIZER_PATH", SYMBOLIZER)
        if self.mutator == "bytes":
            environment["FUZZ_MUTATOR"] = "bytes"
        return environment

    def libfuzzer_options(self, memory_mib):
        return ["-max_len=%d" % trial.INPUT_MAX, "-timeout=%d" % trial.INPUT_TIMEOUT, "-rss_limit_mb=%d" % memory_mib]

    def command(self, seconds, memory_mib):
        """Runs until it is told to end."""
        dictionary, wall = self.target.dictionary, int(WALL_FACTOR * max(seconds, 60))
        if self.engine == "libfuzzer":
            # It writes to the first directory, which is its own, and only reads the other.
            return [self.program] + self.libfuzzer_options(memory_mib) + [
                "-handle_usr1=1", "-print_final_stats=1", "-max_total_time=%d" % wall,
                "-artifact_prefix=%s/" % self.artifacts] + (["-dict=" + dictionary] if dictionary else []) + [
                    self.new, self.target.corpus]
        # Only a main instance takes in a foreign corpus, and a main instance does not trim; so that is the one without
        # our mutator, and the other one has it from there.
        role = ["-M", self.name, "-F", self.target.corpus] if self.name == "afl_bytes" else ["-S", self.name]
        return ["afl-fuzz"] + (["-x", dictionary] if dictionary else []) + role + [
            "-i", self.target.corpus, "-o", self.target.afl_output, "-t", str(1000 * trial.INPUT_TIMEOUT), "-m", "none",
            "-G", str(trial.INPUT_MAX), "-V", str(wall), "--", self.program]


def find_targets(directory, state, variant, wanted=None):
    suffix = "_%s_%s_bin" % (variant, JUDGE)
    names = [os.path.basename(path)[:-len(suffix)] for path in sorted(glob.glob(os.path.join(directory, "*" + suffix)))]
    if not names:
        raise Failure("no programs in %s: start this by `tools/bazel run`" % directory)
    chosen = names if wanted is None else wanted.split(",")
    unknown = sorted(set(chosen) - set(names))
    if unknown:
        raise Failure("there is no target %s; there are: %s" % (
            ", ".join(name or "without a name" for name in unknown), ", ".join(names)))
    return [Target(name, directory, state, variant) for name in names if name in chosen]
