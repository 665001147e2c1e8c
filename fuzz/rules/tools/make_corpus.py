#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Copies the files of a seed corpus to one directory.

The name of a copy is that of the file's path below the package, with - for each /, so that files of different directories
keep apart; where two are still the same, a number is added.

    make_corpus.py --package=PACKAGE --output=DIRECTORY [FILE | DIRECTORY ...]
"""

import argparse
import os
import re
import shutil
import sys

# Where Bazel puts what it builds.
OUTPUT_DIRECTORY = re.compile(r"^(.*/)?bazel-out/[^/]*/bin/")
EMPTY_NAME = "empty_test"


def find_files(paths):
    for path in paths:
        if not os.path.isdir(path):
            yield path
        for directory, directories, names in os.walk(path):
            directories.sort()
            for name in sorted(names):
                yield os.path.join(directory, name)


def flat_name(path, package):
    path = OUTPUT_DIRECTORY.sub("", path)
    if package and path.startswith(package + "/"):
        path = path[len(package) + 1:]
    return path.strip("/").replace("/", "-")


def make_corpus(paths, package, output):
    os.makedirs(output, exist_ok=True)
    taken = set()
    for path in find_files(paths):
        name = wanted = flat_name(path, package)
        number = 1
        while name in taken:
            number += 1
            name = "%s-%d" % (wanted, number)
        taken.add(name)
        shutil.copyfile(path, os.path.join(output, name))
    if not taken:
        with open(os.path.join(output, EMPTY_NAME), "wb"):
            pass


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--package", default="")
    parser.add_argument("--output", required=True)
    parser.add_argument("paths", nargs="*")
    options = parser.parse_args(arguments)
    make_corpus(options.paths, options.package, options.output)


if __name__ == "__main__":
    main(sys.argv[1:])
