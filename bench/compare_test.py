# SPDX-License-Identifier: Apache-2.0
"""compare: its figures for known values, its errors, and one short comparison with everything that takes part."""

import csv
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import unittest

import compare
import compare_report

HERE = pathlib.Path(os.path.abspath(__file__)).parent
BINARIES = os.environ.get("BENCH_BINARIES", str(HERE))
ALLOCATORS = ["null", "hakmem", "hakmem linked", "glibc", "mimalloc", "jemalloc", "tcmalloc"]


def run_compare(*arguments):
    command = [sys.executable, "-B", HERE / "compare.py", "--binaries", BINARIES, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


class Figures(unittest.TestCase):
    def test_quartiles(self):
        self.assertEqual(compare_report.quartiles([5, 1, 4, 2, 3]), (2, 3, 4))
        self.assertEqual(compare_report.quartiles([1, 2]), (1.25, 1.5, 1.75))
        self.assertEqual(compare_report.quartiles([7]), (7, 7, 7))

    def test_spread(self):
        self.assertEqual(compare_report.spread([90, 100, 130]), 0.4)

    def test_ratios_are_taken_round_by_round(self):
        # The machine is ten times as fast in the second round: the ratios of the rounds do not notice.
        self.assertEqual(compare_report.paired_ratios([100, 1000, 120], [50, 500, 60]), [2, 2, 2])
        with self.assertRaises(ValueError):
            compare_report.paired_ratios([1, 2], [1])

    def test_best_peer_is_the_hardest_one(self):
        throughput = {"ours": [10, 10, 10], "slow": [5, 5, 100], "fast": [9, 9, 9], "glibc": [99, 99, 99]}
        self.assertEqual(compare_report.best_peer(throughput, "ours", ["slow", "fast", "absent"]), "fast")
        self.assertIsNone(compare_report.best_peer(throughput, "ours", ["absent"]))
        self.assertEqual(compare_report.best_peer(throughput, "fast", ["slow", "fast"]), "slow")

    def test_summary(self):
        throughput = {"w": {"ours": [10e6, 12e6, 14e6], "fast": [10e6, 10e6, 10e6], "glibc": [5e6, 5e6, 5e6]}}
        self.assertEqual(compare_report.summary_table(throughput, "ours", ["fast"]).splitlines()[2],
                         "| w        |         12.00 |      fast | 1.200 [1.100..1.300] | 2.400 [2.200..2.600] |")


class Errors(unittest.TestCase):
    def check(self, arguments, *messages):
        done = run_compare("--quick", "--rounds=1", "--iterations=1000", *arguments)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        for message in messages:
            self.assertIn(message, done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_missing_peers_name_their_packages(self):
        self.check(["--library-directory=/nonexistent"],
                   "compare: /nonexistent/libmimalloc.so.2.0, to be preloaded as mimalloc, is missing: "
                   "install Debian's package libmimalloc2.0\n",
                   "install Debian's package libjemalloc2\n", "install Debian's package libtcmalloc-minimal4\n")

    def test_a_library_that_is_no_allocator(self):
        self.check([f"--preload=wrong=/lib/{platform.machine()}-linux-gnu/libm.so.6", "--allocators=wrong", "--subject=wrong"],
                   "compare: wrong: malloc was served by", "libc.so.6")

    def test_a_file_that_cannot_be_preloaded(self):
        self.check([f"--preload=text={HERE}/compare.py", "--allocators=text", "--subject=text"],
                   "compare: text: malloc was served by", "libc.so.6")

    def test_selection(self):
        self.check(["--workloads=nothing like it"], "compare: --workloads: none of replace 128 B, 2048 slots")
        self.check(["--workloads=("], "compare: --workloads: ")
        self.check(["--allocators=^mimalloc$"], "compare: --subject: 'hakmem' is not one of mimalloc")
        self.check(["--preload=glibc=/x"], "compare: --preload=glibc=/x: NAME=LIBRARY is expected")
        self.check(["--rounds=0"], "compare: --rounds and --iterations must be at least 1")

    def test_unequal_work_is_refused(self):
        results = iter(range(100))
        real_run = compare.run
        compare.run = lambda *_: {"throughput": 1, "peak_rss_kib": 1, "bytes_requested": next(results)}
        try:
            with self.assertRaisesRegex(compare.Failure, "not all runs did the same work"):
                workload = compare.Workload("w", "b", ())
                compare.compare_workload(workload, [compare.Allocator("a")], compare.parse_arguments(["--rounds=2"]),
                                         compare.RawFile(None, []))
        finally:
            compare.run = real_run


class Comparison(unittest.TestCase):
    def test_everything_takes_part(self):
        with tempfile.TemporaryDirectory() as directory:
            raw = os.path.join(directory, "raw.csv")
            done = run_compare("--quick", "--rounds=2", "--iterations=20000", f"--csv={raw}",
                               "--workloads=^replace 128 B, 2048|^replace 8192 B, 2048|larson|producer")
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(raw, encoding="utf-8") as file:
                lines = file.readlines()
        comments = [line for line in lines if line.startswith("# ")]
        rows = list(csv.DictReader(line for line in lines if not line.startswith("# ")))
        self.assertEqual(len(rows), 2 * (2 * len(ALLOCATORS) + 2 * (len(ALLOCATORS) - 1)))
        first, second = ([row["allocator"] for row in rows if row["workload"] == "replace 128 B, 2048 slots"
                          and row["round"] == number] for number in "01")
        self.assertEqual((first, second), (ALLOCATORS, ALLOCATORS[::-1]))
        self.assertTrue(all(int(row["throughput"]) > 0 for row in rows))
        for start in ["# cpu: ", "# kernel: ", "# hakmem: hakmem ", "# hakmem linked: hakmem ", "# mimalloc: libmimalloc2.0 2"]:
            self.assertTrue(any(line.startswith(start) for line in comments), f"{start!r} is not in {comments}")
        self.assertRegex(done.stdout, r"\n\| larson, 4 threads +\| +[0-9.]+ \| +(mimalloc|jemalloc|tcmalloc) \|"
                                      r" +[0-9.]+ \[[0-9.]+\.\.[0-9.]+\] \| +[0-9.]+ \[[0-9.]+\.\.[0-9.]+\] \|\n")

    def test_five_by_five(self):
        done = run_compare("--five-by-five", "--iterations=10000", "--allocators=hakmem")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("all 25 succeeded"), 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
