# SPDX-License-Identifier: Apache-2.0
"""Compares the peak resident set of python3 and git with a preloaded library to that without: at most 1.15 times as much.

Median of three runs each, interleaved. --control names a library that takes more; it must exceed the bound.
"""

import argparse
import os
import statistics
import sys

import harness
from programs import git_work

BOUND = 1.15
RUNS = 3

PYTHON_ORDINARY = """
import argparse, json, logging, re, subprocess, textwrap
text = json.dumps([{"number": n, "square": str(n * n)} for n in range(2000)])
print(len(json.loads(text)), len(re.findall("[0-9]+", text)), len(textwrap.fill(text[:20000])))
"""

# About 80 MiB of dictionaries, lists and strings that come and go.
PYTHON_LARGE = """
import ast, collections, json, random
generator = random.Random(5)
table = collections.OrderedDict()
for n in range(250000):
    key = generator.randrange(60000)
    if key in table and n % 3: del table[key]
    else: table[key] = {"name": "n" * generator.randrange(200), "list": list(range(generator.randrange(20)))}
text = json.dumps(list(table.items()))
again = json.loads(text)
tree = ast.parse("\\n".join(f"value_{n} = {n} * (left_{n} + {n % 7})" for n in range(5000)))
print(len(text), len(again), sum(1 for _ in ast.walk(tree)))
"""


def python(*arguments, **environment):
    return ["/usr/bin/python3", *arguments], {"PYTHONHASHSEED": "0", **environment}


def git(repository, *arguments):
    return ["/usr/bin/git", "-C", repository, *arguments], git_work.ENVIRONMENT


REPACK = ("repack", "-q", "-a", "-d", "-f")
WORKLOADS = {
    "python3, ordinary": python("-c", PYTHON_ORDINARY),
    "python3, large": python("-c", PYTHON_LARGE),
    "python3, large, PYTHONMALLOC=malloc": python("-c", PYTHON_LARGE, PYTHONMALLOC="malloc"),
    "git log -p": git("repository", "log", "-p", "--stat"),
    "git status": git("repository", "status", "--porcelain"),
    "git repack": git("repository", "-c", "pack.threads=1", *REPACK, "--window=30"),
    "git log -p, large": git("large", "log", "-p", "--stat", "-M", "-50"),
    "git blame, large": git("large", "blame", "folder3/file3.txt"),
    "git fsck, large": git("large", "fsck", "--full", "--no-progress"),
    "git repack, large": git("large", "-c", "pack.threads=1", *REPACK, "--window=30"),
    "git repack, large, 4 threads": git("large", "-c", "pack.threads=4", *REPACK, "--window=30"),
}
LARGE_ENOUGH_KIB = 30 << 10


def measure(measure_memory, library, command, environment, directory):
    """Returns the peak resident set in KiB."""
    figure = os.path.join(directory, "figure")
    status, _, err = harness.run([measure_memory, library or "", figure] + command,
                                 {**harness.base_environment(directory), **environment}, directory)
    if status != 0 or err:
        raise harness.Failure(f"{command[0]} with {library}: {harness.describe_status(status)} {err.decode(errors='replace')}")
    with open(figure, encoding="ascii") as source:
        return int(source.read())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--control", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--measure-memory", required=True, metavar="PATH")
    parser.add_argument("--which-malloc", required=True, metavar="PATH")
    arguments = parser.parse_args()
    harness.no_core_files()
    measure_memory = harness.absolute(arguments.measure_memory)
    libraries = harness.named_files(arguments.library)
    controls = harness.named_files(arguments.control)
    if not libraries:
        raise harness.Failure("no --library given: nothing to test")
    failures = []
    with harness.temporary_directory() as directory:
        for _, library in libraries:
            harness.check_preload(library, harness.absolute(arguments.which_malloc), directory)
        session = harness.Session("preparation", None, directory, {}, 120)
        git_work.make_repository(session, files=300, commits=20)
        git_work.make_large_repository(session, "large")
        exceeded = {name: False for name, _ in controls}
        print(f"peak resident set, median of {RUNS}, MiB; bound {BOUND}")
        for workload, (command, environment) in WORKLOADS.items():
            harness.installed(command[0])
            figures = {"glibc": []}
            for _ in range(RUNS):
                for name, library in [("glibc", None)] + libraries:
                    figures.setdefault(name, []).append(measure(measure_memory, library, command, environment, directory))
            glibc = statistics.median(figures["glibc"])
            if "large" in workload and glibc < LARGE_ENOUGH_KIB:
                failures.append(f"{workload} takes only {glibc} KiB: it measures nothing")
            row = [f"glibc {glibc / 1024:.1f}"]
            for name, _ in libraries:
                peak = statistics.median(figures[name])
                row.append(f"{name} {peak / 1024:.1f} ({peak / glibc:.3f})")
                if peak > BOUND * glibc:
                    failures.append(f"{workload}: {name} {peak} KiB is {peak / glibc:.3f} times glibc's {glibc} KiB")
            for name, library in controls:
                # Once is enough.
                if exceeded[name]:
                    continue
                peak = measure(measure_memory, library, command, environment, directory)
                row.append(f"broken library {name} {peak / 1024:.1f} ({peak / glibc:.3f})")
                exceeded[name] = peak > BOUND * glibc
            print(f"{workload}: " + ", ".join(row), flush=True)
    failures += [f"the broken library {name} exceeded no bound" for name, was_exceeded in exceeded.items() if not was_exceeded]
    if failures:
        raise harness.Failure("\n".join(failures))
    print("passed")


if __name__ == "__main__":
    try:
        main()
    except harness.Failure as failure:
        sys.exit(f"FAILED: {failure}")
