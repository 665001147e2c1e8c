#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the targets' programs are: beside the folder of the tool that is run, in what Bazel laid out for it.

Which targets there are is said by fuzz/BUILD.bazel alone; here it is seen from the files.
"""

import glob
import hashlib
import os
import sys

from trial import Failure

# As the tool was started, not through links: the runfiles have the programs, the source tree has none.
FUZZ = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0])))
ENGINES = ["libfuzzer", "afl"]
# Where a relative path of the user's starts: `bazel run` runs programs elsewhere.
USER_DIRECTORY = os.environ.get("BUILD_WORKING_DIRECTORY", os.getcwd())


class Target:
    """One target with the seeded bugs in it."""

    def __init__(self, name, directory=FUZZ):
        self.name = name
        self.binaries = {engine: os.path.join(directory, "%s_seeded_%s_bin" % (name, engine)) for engine in ENGINES}
        self.corpus = os.path.join(directory, name + "_seeded_corpus")
        dictionary = os.path.join(directory, name + "_seeded.dict")
        self.dictionary = dictionary if os.path.exists(dictionary) else None
        mutator = os.path.join(directory, "op", "libop_mutator.so")
        # The mutator of operations is for programs alone; that it is linked in is seen in libFuzzer's program.
        self.mutator = mutator if has_word(self.binaries["libfuzzer"], b"FUZZ_MUTATOR") else None

    def corpus_files(self):
        return sorted(os.path.join(folder, name) for folder, _, names in os.walk(self.corpus) for name in names)


def has_word(path, word):
    with open(path, "rb") as file:
        return word in file.read()


def digest_of(paths):
    """Twelve digits that say whether programs are the same."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()[:12]


def find_targets(directory=FUZZ):
    """name -> Target"""
    suffix = "_seeded_libfuzzer_bin"
    names = [os.path.basename(path)[:-len(suffix)] for path in sorted(glob.glob(os.path.join(directory, "*" + suffix)))]
    if not names:
        raise Failure("no programs in %s: start this by `tools/bazel run`" % directory)
    return {name: Target(name, directory) for name in names}
