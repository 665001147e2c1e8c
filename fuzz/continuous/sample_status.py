# SPDX-License-Identifier: Apache-2.0
"""A status as the runner writes it, for the tests of the page; no two of its figures are the same."""

NOW = 1_764_000_000


def instance(name, number, **more):
    engine, _, rest = name.partition("_")
    return dict({
        "name": name, "engine": engine, "mutator": "bytes" if rest == "bytes" else "structured",
        "sanitizer": "asan" if rest == "asan" else "none", "state": "running", "cpu_seconds": 86411.25 + 1000 * number,
        "executions": 123_456_789 + 1_000_003 * number, "executions_per_second": 1431.5 + 17 * number,
        "edges": 2410 + number, "runs": 12 + number, "error": None}, **more)


def target(name, number, **more):
    samples = 900
    return dict({
        "name": name, "corpus_files": 1811 + number, "corpus_bytes": 2_345_678 + 100_000 * number,
        "last_new_path": NOW - 4000 - 500 * number,
        "instances": [instance("libfuzzer_structured", 10 * number), instance("libfuzzer_bytes", 10 * number + 1),
                      instance("libfuzzer_asan", 10 * number + 2), instance("afl_structured", 10 * number + 3, edges=None)],
        "coverage_over_time": [[NOW - 90_000 + 100 * sample, 1500 + number + int(950 * (sample / samples) ** 0.3)]
                               for sample in range(samples)],
        "crashes": []}, **more)


def crash(identity, target_name, **more):
    folder = f"{target_name}/crashes/{identity}/"
    return dict({
        "id": identity, "kind": "crash", "found_by": "libfuzzer_structured", "first_seen": NOW - 7300, "times": 41,
        "reproduced": 3, "replays": 3, "summary": "oracle content: block 7 of 48 bytes: byte 12 is 0x00, was 0x5a",
        "input": folder + "input", "list": folder + "list.txt", "program": folder + "program.c",
        "regression": f"{folder}regress/{target_name}/content_{identity}", "fixed_in": None}, **more)


def source_coverage():
    names = ["api/allocate.c", "api/free.c", "api/options.c", "base/class_table.c", "base/lock.h", "pages/window.c",
             "pages/purge.c", "small/slab.c", "small/superslab.c"]
    files = [{"path": "allocator/" + name, "lines": 90 + 37 * at, "covered": 90 + 37 * at - (at * at * 3) % (90 + 37 * at)}
             for at, name in enumerate(names)]
    return {"time": NOW - 1800, "files": files}


def sample():
    """Several days old, with crashes, an engine that failed, and one that waits."""
    with_error = target("misuse", 3)
    with_error["instances"][3].update(state="failed", error="afl-fuzz: [-] PROGRAM ABORT : the seed id:000012 crashes",
                                      executions_per_second=0.0, executions=7)
    with_error["instances"][1].update(state="waiting")
    return {
        "version": 1, "started": NOW - 266_461, "now": NOW, "running": True, "build": "3f2a9c01d4be", "commit": "30ebb70",
        "limits": {"disk_bytes": 20 << 30, "disk_used_bytes": 1_357_924_680, "memory_mib_per_engine": 2048},
        "targets": [
            target("differential", 1, crashes=[
                crash("0f3a5c7e9b1d", "differential"),
                crash("a1b2c3d4e5f6", "differential", kind="timeout", first_seen=NOW - 90_500, times=2, reproduced=1,
                      summary="libFuzzer: timeout after 25 seconds", list=None, program=None)]),
            target("faults", 2), with_error,
            target("options", 4, last_new_path=None, coverage_over_time=[], corpus_files=1, corpus_bytes=17),
        ],
        "source_coverage": source_coverage()}


def empty():
    """The first seconds of a run."""
    return {"version": 1, "started": NOW - 3, "now": NOW, "running": True, "build": "3f2a9c01d4be", "commit": "30ebb70",
            "limits": {"disk_bytes": 1 << 30, "disk_used_bytes": 0, "memory_mib_per_engine": 512},
            "targets": [], "source_coverage": None}
