# SPDX-License-Identifier: Apache-2.0
"""Runs one scenario without a preloaded library and with each of the given ones, and fails if anything differs.

Each --control is a library that is broken on purpose: with that one the scenario must differ, or else the test could not
notice a broken allocator. See tests/system/README.md.
"""

import argparse
import importlib
import os
import shutil
import sys
import time

import harness

CONTROL_DEADLINE = 60


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", help="module in programs/ with a function scenario(session)")
    parser.add_argument("--library", action="append", default=[], metavar="NAME=PATH",
                        help="library to preload")
    parser.add_argument("--control", action="append", default=[], metavar="NAME=PATH",
                        help="broken library to preload")
    parser.add_argument("--file", action="append", default=[], metavar="NAME=PATH",
                        help="a file that the scenario needs, or a folder, of which it gets a copy")
    parser.add_argument("--which-malloc", required=True, metavar="PATH", help="program that prints where malloc is from")
    parser.add_argument("--deadline", type=int, default=250, help="seconds that one program may take")
    arguments = parser.parse_args()
    harness.no_core_files()
    scenario = importlib.import_module("programs." + arguments.scenario).scenario
    files = dict(harness.named_files(arguments.file))
    which_malloc = harness.absolute(arguments.which_malloc)
    libraries = harness.named_files(arguments.library)
    if not libraries:
        raise harness.Failure("no --library given: nothing to test")

    with harness.temporary_directory() as directory:
        # Sources may be edited while they are compiled again and again.
        for name, path in files.items():
            if os.path.isdir(path):
                files[name] = shutil.copytree(path, os.path.join(directory, "copy-of-" + name))

        def session(label, library, deadline):
            start = time.monotonic()
            result = harness.run_session(scenario, label, library, directory, files, deadline)
            print(f"{arguments.scenario}, {label}: {len(result.observations)} observations, "
                  f"{time.monotonic() - start:.1f} s", flush=True)
            return result

        plain = session("without preload", None, arguments.deadline)
        for name, library in libraries:
            harness.check_preload(library, which_malloc, directory)
            preloaded = session(f"preloading {name}", library, arguments.deadline)
            difference = harness.first_difference(plain, preloaded)
            if difference:
                again = session("without preload, again", None, arguments.deadline)
                if harness.first_difference(plain, again):
                    difference += "\n(The scenario also differs from itself without preload.)"
                raise harness.Failure(f"{arguments.scenario} behaves differently with {library} preloaded:\n{difference}")
        for name, library in harness.named_files(arguments.control):
            broken = session(f"broken library {name}", library, CONTROL_DEADLINE)
            difference = harness.first_difference(plain, broken)
            if not difference:
                raise harness.Failure(f"{arguments.scenario} did not notice the broken library {name}")
            print(f"  noticed: {difference.splitlines()[0]}", flush=True)
    print("passed")


if __name__ == "__main__":
    try:
        main()
    except harness.Failure as failure:
        sys.exit(f"FAILED: {failure}")
