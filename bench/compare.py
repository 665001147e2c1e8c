#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks with hakmem and with other allocators in turn, and prints how they compare.

All allocators are preloaded into the same binaries. In each round every allocator runs once, forwards in one round and
backwards in the next, so that drift of the machine meets all of them; compare_report.py turns the rounds into paired
ratios. Throughput is by CPU time. Workloads of one thread are pinned to one CPU.
"""

import argparse
import csv
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

import compare_report

HERE = pathlib.Path(os.path.abspath(__file__)).parent
# Where a relative path of the user's starts. `bazel run` runs programs elsewhere.
USER_DIRECTORY = pathlib.Path(os.environ.get("BUILD_WORKING_DIRECTORY", os.getcwd()))
PEERS = ["mimalloc", "jemalloc", "tcmalloc"]
SEED = 42


class Failure(Exception):
    """Something that the user should read without a stack trace."""


@dataclasses.dataclass(frozen=True)
class Allocator:
    """How a benchmark is run with one allocator."""

    name: str
    library: pathlib.Path | None = None  # preloaded
    linked: bool = False  # the binary with hakmem linked in, instead of the one without
    null: bool = False  # no allocator at all
    package: str | None = None  # Debian's package of the library


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    binary: str
    arguments: tuple[str, ...]
    threads: int = 1
    has_null: bool = False


def replace_workload(max_size, slots, iterations):
    return Workload(
        name=f"replace {max_size} B, {slots} slots",
        binary="random_mixed",
        arguments=(str(iterations), str(max_size), str(SEED), str(slots), "--mode=replace"),
        has_null=True,
    )


# Iterations for about a quarter of a second with a fast allocator on a processor of 2024.
REPLACE_ITERATIONS = {
    (128, 2048): 40_000_000, (256, 2048): 40_000_000, (512, 2048): 40_000_000, (1024, 2048): 30_000_000,
    (8192, 2048): 12_000_000,
    (128, 32768): 20_000_000, (256, 32768): 16_000_000, (512, 32768): 16_000_000, (1024, 32768): 12_000_000,
    # So many that the memory touched for the first time, after the slots were filled, counts little.
    (8192, 32768): 12_000_000,
    # A heap of 256 MiB.
    (2048, 262144): 3_000_000,
}


def all_workloads(iterations, divisor):
    """iterations: of random_mixed, or None for the defaults; divisor: how much less work than usual."""
    workloads = [replace_workload(max_size, slots, iterations or usual // divisor)
                 for (max_size, slots), usual in REPLACE_ITERATIONS.items()]
    workloads.append(Workload("larson, 4 threads", "larson",
                              ("10", "8", "1000", "5000", str(100 // divisor), "4", str(SEED)), threads=4))
    workloads.append(Workload("producer and consumer", "producer_consumer",
                              (str(4000 // divisor), "500", "16", "256", str(SEED)), threads=2))
    return workloads


def all_allocators(options):
    directory = options.library_directory
    allocators = [
        Allocator("null", null=True),
        Allocator("hakmem", library=options.hakmem_library),
        Allocator("hakmem linked", linked=True),
        Allocator("glibc", package="libc6"),
        Allocator("mimalloc", library=directory / "libmimalloc.so.2.0", package="libmimalloc2.0"),
        Allocator("jemalloc", library=directory / "libjemalloc.so.2", package="libjemalloc2"),
        Allocator("tcmalloc", library=directory / "libtcmalloc_minimal.so.4", package="libtcmalloc-minimal4"),
    ]
    if options.levels:
        allocators += [Allocator(f"hakmem {level}", library=options.binaries / f"libhakmem_{level}.so")
                       for level in ("checked", "box")]
    for extra in options.preload:
        name, separator, path = extra.partition("=")
        if not separator or not name or any(name == a.name for a in allocators):
            raise Failure(f"--preload={extra}: NAME=LIBRARY is expected, with a name of its own")
        allocators.append(Allocator(name, library=USER_DIRECTORY / path))
    return allocators


def binary_path(directory, binary, allocator):
    return directory / (binary if allocator.linked else binary + "_system")


def check_present(allocators, workloads, directory):
    """Finds everything missing before the first run."""
    missing = []
    for allocator in allocators:
        if allocator.library and not allocator.library.exists():
            hint = f": install Debian's package {allocator.package}" if allocator.package else ""
            missing.append(f"{allocator.library}, to be preloaded as {allocator.name}, is missing{hint}")
        for name in sorted({workload.binary for workload in workloads}):
            path = binary_path(directory, name, allocator)
            if not os.access(path, os.X_OK):
                missing.append(f"{path} is missing: run this as //bench:compare, or build //bench:{path.name}")
    if missing:
        raise Failure("\n".join(dict.fromkeys(missing)))


def check_served_by(allocator, path, result):
    """A library that cannot be preloaded is ignored by the dynamic linker: then the figures are another allocator's."""
    served_by = result["malloc_object"]
    if allocator.null:
        right = served_by is None
    elif served_by is None:
        right = False
    elif allocator.linked:
        right = os.path.realpath(served_by) == os.path.realpath(path) and result["hakmem"] is not None
    elif allocator.library:
        right = os.path.realpath(served_by) == os.path.realpath(allocator.library)
    else:
        right = os.path.basename(served_by).startswith("libc.so")
    if not right:
        raise Failure(f"{allocator.name}: malloc was served by {served_by}")


def run(workload, allocator, options):
    """One process. Returns the benchmark's own JSON object."""
    path = binary_path(options.binaries, workload.binary, allocator)
    command = [str(path), *workload.arguments, "--json"] + (["--null"] if allocator.null else [])
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    if allocator.library:
        environment["LD_PRELOAD"] = str(allocator.library)
    pin = (lambda: os.sched_setaffinity(0, {options.cpu})) if workload.threads == 1 else None
    done = subprocess.run(command, env=environment, preexec_fn=pin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{allocator.name}: {' '.join(command)} ended with status {done.returncode}:\n{done.stderr}")
    result = json.loads(done.stdout)
    check_served_by(allocator, path, result)
    return result


def package_version(package):
    try:
        done = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def read_first_line(path, pattern=".*"):
    try:
        with open(path, encoding="utf-8") as lines:
            return next((match.group(1) for line in lines if (match := re.match(f"({pattern})$", line.strip()))), "unknown")
    except OSError:
        return "unknown"


def machine_stamp(allocators, options):
    """What the figures depend on, as (name, value). Runs each allocator once, so that one that does not work shows at
    once and not after an hour."""
    stamp = [
        ("date", datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")),
        ("cpu", read_first_line("/proc/cpuinfo", "model name.*").partition(": ")[2] or platform.machine()),
        ("cpus", str(len(os.sched_getaffinity(0)))),
        ("kernel", platform.release()),
        ("huge_pages", read_first_line("/sys/kernel/mm/transparent_hugepage/enabled")),
        ("load_average", " ".join(f"{load:.2f}" for load in os.getloadavg())),
    ]
    probe = Workload("probe", "random_mixed", ("1", "16", "1"))
    for allocator in allocators:
        result = run(probe, allocator, options)
        if result["hakmem"]:
            stamp.append((allocator.name, result["hakmem"]))
        elif allocator.package:
            stamp.append((allocator.name, f"{allocator.package} {package_version(allocator.package)}"))
    return stamp + [("benchmark compiler", result["compiler"])]


CSV_COLUMNS = ["workload", "allocator", "round", "position", "operations", "cpu_seconds", "wall_seconds", "throughput",
               "wall_throughput", "peak_rss_kib", "bytes_requested"]


class RawFile:
    """The raw figures: comment lines that describe the machine, then one line for each run, written as it ends."""

    def __init__(self, path, stamp):
        self.file = open(path, "w", encoding="utf-8", newline="") if path else None
        if self.file:
            for name, value in stamp:
                self.file.write(f"# {name}: {value}\n")
            self.writer = csv.DictWriter(self.file, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
            self.writer.writeheader()

    def add(self, workload, allocator, round_number, position, result):
        if self.file:
            self.writer.writerow({**result, "workload": workload.name, "allocator": allocator.name,
                                  "round": round_number, "position": position})
            self.file.flush()


def compare_workload(workload, allocators, options, raw):
    """All rounds of one workload. Returns throughput and peak RSS: name -> values by round."""
    taking_part = [a for a in allocators if workload.has_null or not a.null]
    results = {a.name: [] for a in taking_part}
    requested = set()
    for round_number in range(options.rounds):
        order = taking_part if round_number % 2 == 0 else taking_part[::-1]
        for position, allocator in enumerate(order):
            result = run(workload, allocator, options)
            results[allocator.name].append(result)
            requested.add(result["bytes_requested"])
            raw.add(workload, allocator, round_number, position, result)
    if len(requested) != 1:
        raise Failure(f"{workload.name}: not all runs did the same work: {sorted(requested)} bytes were requested")
    return ({name: [r["throughput"] for r in runs] for name, runs in results.items()},
            {name: [r["peak_rss_kib"] for r in runs] for name, runs in results.items()})


def compare(options, allocators, workloads):
    stamp = machine_stamp(allocators, options)
    for name, value in stamp:
        print(f"{name}: {value}")
    print(f"rounds: {options.rounds}")
    raw = RawFile(options.csv, stamp)
    throughput_by_workload = {}
    for workload in workloads:
        throughput, peak_rss_kib = compare_workload(workload, allocators, options, raw)
        throughput_by_workload[workload.name] = throughput
        print(f"\n{workload.name} ({workload.binary} {' '.join(workload.arguments)}), "
              f"million operations per second of CPU time")
        print(compare_report.workload_table(throughput, peak_rss_kib, options.subject), flush=True)
    print("\nPaired ratios: median [quartiles]. The best peer is the one of "
          f"{', '.join(PEERS)} to which the median is lowest.")
    print(compare_report.summary_table(throughput_by_workload, options.subject, PEERS))


def five_by_five(options, allocators):
    """Five runs of five processes each: does every one succeed, and how far do they lie apart?"""
    iterations = options.iterations or 1_000_000
    workload = Workload("classic", "random_mixed", (str(iterations), "8192", str(SEED)))
    print(f"random_mixed {' '.join(workload.arguments)}: five runs of five, million operations per second of CPU time")
    for allocator in (a for a in allocators if not a.null):
        values = []
        print(f"\n{allocator.name}")
        for number in range(1, 6):
            group = [run(workload, allocator, options)["throughput"] for _ in range(5)]
            values += group
            print(f"  run {number}: " + " ".join(f"{v / 1e6:7.2f}" for v in group)
                  + f"  median {statistics.median(group) / 1e6:.2f}, spread {100 * compare_report.spread(group):.1f} %")
        lower, median, upper = compare_report.quartiles(values)
        print(f"  all 25 succeeded: median {median / 1e6:.2f} [{lower / 1e6:.2f}..{upper / 1e6:.2f}], "
              f"spread (max - min) / median {100 * compare_report.spread(values):.1f} %")


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="compare", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="how often each allocator runs each workload (default 9)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work and 3 rounds: to see that it works")
    parser.add_argument("--iterations", type=int, help="iterations of random_mixed, in place of each workload's own")
    parser.add_argument("--workloads", default="", metavar="REGEX", help="only those whose name matches")
    parser.add_argument("--allocators", default="", metavar="REGEX", help="only those whose name matches")
    parser.add_argument("--subject", default="hakmem", metavar="NAME", help="whose ratios are taken (default hakmem)")
    parser.add_argument("--preload", action="append", default=[], metavar="NAME=LIBRARY",
                        help="one more allocator, for example an earlier build of libhakmem.so")
    parser.add_argument("--levels", action="store_true", help="also hakmem's checks levels 1 (checked) and 2 (Box)")
    parser.add_argument("--csv", metavar="FILE", help="writes every run's figures to FILE")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)),
                        help="where the workloads of one thread run (default: the last CPU)")
    parser.add_argument("--five-by-five", action="store_true",
                        help="instead: five runs of five of random_mixed 1000000 8192, and their spread")
    parser.add_argument("--list", action="store_true", help="only names the workloads and the allocators")
    parser.add_argument("--library-directory", type=pathlib.Path, metavar="DIRECTORY",
                        default=pathlib.Path(f"/usr/lib/{platform.machine()}-linux-gnu"),
                        help="where the peers' libraries are (default %(default)s)")
    parser.add_argument("--binaries", type=pathlib.Path, default=HERE, metavar="DIRECTORY",
                        help="where the benchmarks are (default: beside this program)")
    parser.add_argument("--hakmem-library", type=pathlib.Path, default=HERE / "libhakmem_release.so", metavar="LIBRARY",
                        help="what is preloaded as hakmem (default: the release build of //:libhakmem.so)")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds if options.rounds is not None else 3 if options.quick else 9
    for name in ["library_directory", "binaries", "hakmem_library"]:
        setattr(options, name, USER_DIRECTORY / getattr(options, name))
    if options.csv:
        options.csv = USER_DIRECTORY / options.csv
    if options.rounds < 1 or (options.iterations is not None and options.iterations < 1):
        raise Failure("--rounds and --iterations must be at least 1")
    if options.cpu not in os.sched_getaffinity(0):
        raise Failure(f"--cpu: this process may not use CPU {options.cpu}")
    return options


def select(items, pattern, what):
    try:
        chosen = [item for item in items if re.search(pattern, item.name)]
    except re.error as error:
        raise Failure(f"--{what}: {error}") from error
    if not chosen:
        raise Failure(f"--{what}: none of {', '.join(item.name for item in items)} matches {pattern!r}")
    return chosen


def main(arguments):
    options = parse_arguments(arguments)
    workloads = select(all_workloads(options.iterations, 10 if options.quick else 1), options.workloads, "workloads")
    allocators = select(all_allocators(options), options.allocators, "allocators")
    if options.list:
        print("\n".join(f"workload   {w.name}" for w in workloads))
        print("\n".join(f"allocator  {a.name}" for a in allocators))
        return
    check_present(allocators, workloads, options.binaries)
    if options.five_by_five:
        five_by_five(options, allocators)
        return
    if not any(a.name == options.subject and not a.null for a in allocators):
        raise Failure(f"--subject: {options.subject!r} is not one of {', '.join(a.name for a in allocators)}")
    compare(options, allocators, workloads)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failure as failure:
        sys.exit("\n".join(f"compare: {line}" for line in str(failure).splitlines()))
    except KeyboardInterrupt:
        sys.exit(130)
