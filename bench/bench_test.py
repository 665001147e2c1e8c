# SPDX-License-Identifier: Apache-2.0
"""Runs each benchmark with small sizes: the exact form of what it prints, the work it does, its errors, its loop.

The work is held against a model of random_mixed that is written out here once more, so a benchmark that stops comparing
like with like (another sequence for the same seed, a step left out) is found. Nothing here looks at how fast it was.
"""

import json
import os
import pathlib
import re
import resource
import subprocess
import unittest

HERE = pathlib.Path(os.path.abspath(__file__)).parent
BINARIES = pathlib.Path(os.environ.get("BENCH_BINARIES", HERE))

SMALL_RUNS = {
    "random_mixed": ["20000", "256", "42"],
    "larson": ["3", "8", "1000", "50", "4", "3", "7"],
    "producer_consumer": ["40", "25", "16", "256", "7"],
}
ALL_BINARIES = [name + suffix for name in SMALL_RUNS for suffix in ["", "_system"]]


def run(binary, *arguments, limit=None, preload=None):
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    if preload:
        environment["LD_PRELOAD"] = preload

    def set_limit():
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    return subprocess.run([BINARIES / binary, *arguments], env=environment, capture_output=True, text=True, check=False,
                          timeout=30, preexec_fn=set_limit if limit else None)


def run_json(binary, *arguments):
    done = run(binary, *arguments, "--json")
    if done.returncode != 0:
        raise AssertionError(f"{binary} {arguments} ended with status {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def model(iterations, max_size, seed, slots, replace, thread=0):
    """(allocations, frees, bytes requested) of one thread of random_mixed."""
    mask = (1 << 64) - 1
    stride = 0xA0761D6478BD642F

    def bits(state):
        product = state * (state ^ 0xE7037ED1A0B428DB)
        return (product >> 64) ^ (product & mask)

    state = (seed + (thread + 1) * 0x9E3779B97F4A7C15) & mask
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
    state ^= state >> 31
    if replace:  # filling the slots
        state += slots * stride
    occupied = [False] * slots
    allocations = frees = requested = 0
    for _ in range(iterations):
        state = (state + stride) & mask
        random = bits(state)
        slot = (random >> 32) * slots >> 32
        if replace or occupied[slot]:
            frees += 1
        if replace or not occupied[slot]:
            allocations += 1
            requested += 16 + ((random & 0xFFFFFFFF) * (max_size - 15) >> 32)
        occupied[slot] = not occupied[slot]
    return allocations, frees, requested


class Output(unittest.TestCase):
    def test_throughput_line(self):
        for binary in ALL_BINARIES:
            with self.subTest(binary):
                done = run(binary, *SMALL_RUNS[binary.removesuffix("_system")])
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertRegex(done.stdout, r"\AThroughput = [1-9][0-9]* ops/s\n\Z")

    def test_json(self):
        for binary in ALL_BINARIES:
            with self.subTest(binary):
                result = run_json(binary, *SMALL_RUNS[binary.removesuffix("_system")])
                self.assertEqual(result["benchmark"], binary.removesuffix("_system"))
                self.assertGreater(result["operations"], 0)
                self.assertGreater(result["cpu_seconds"], 0)
                self.assertGreater(result["wall_seconds"], 0)
                self.assertGreater(result["peak_rss_kib"], 100)
                self.assertAlmostEqual(result["throughput"], result["operations"] / result["cpu_seconds"], delta=1)

    def test_says_what_serves_malloc(self):
        for binary in ALL_BINARIES:
            with self.subTest(binary):
                name = binary.removesuffix("_system")
                errors = run(binary, *SMALL_RUNS[name]).stderr
                result = run_json(binary, *SMALL_RUNS[name])
                self.assertIn(f"{name}: malloc of {result['malloc_object']}\n", errors)
                if binary == name:
                    self.assertTrue(os.path.samefile(result["malloc_object"], BINARIES / binary), result)
                    self.assertIn("variant=direct", result["hakmem"])
                    self.assertIn(result["hakmem"], errors)
                else:
                    self.assertRegex(result["malloc_object"], r"/libc\.so\.6$")
                    self.assertIsNone(result["hakmem"])

    def test_null_says_so(self):
        self.assertIn("no allocator", run("random_mixed_system", "1000", "256", "42", "--null").stderr)
        self.assertIsNone(run_json("random_mixed_system", "1000", "256", "42", "--null")["malloc_object"])

    def test_help(self):
        for binary in ALL_BINARIES:
            done = run(binary, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue(done.stdout.startswith(f"usage: {binary.removesuffix('_system')} "))
            self.assertIn("Throughput = N ops/s", done.stdout)


class Work(unittest.TestCase):
    def check_random_mixed(self, iterations, max_size, seed, slots, mode, threads=1):
        expected = [model(iterations, max_size, seed, slots, mode == "replace", thread) for thread in range(threads)]
        for binary, extra in [("random_mixed", []), ("random_mixed_system", []), ("random_mixed_system", ["--null"])]:
            arguments = [str(iterations), str(max_size), str(seed), str(slots), f"--mode={mode}", f"--threads={threads}"]
            with self.subTest(binary=binary, arguments=arguments + extra):
                result = run_json(binary, *arguments, *extra)
                self.assertEqual(result["operations"], iterations * threads)
                self.assertEqual((result["allocations"], result["frees"], result["bytes_requested"]),
                                 tuple(map(sum, zip(*expected))))

    def test_classic(self):
        self.check_random_mixed(20000, 256, 42, 2048, "classic")

    def test_replace(self):
        self.check_random_mixed(20000, 256, 42, 2048, "replace")

    def test_any_number_of_slots(self):
        self.check_random_mixed(5000, 1000, 1, 1, "classic")
        self.check_random_mixed(5000, 1000, 2**64 - 1, 777, "replace")

    def test_smallest_and_large_blocks(self):
        self.check_random_mixed(2000, 16, 0, 100, "classic")
        self.check_random_mixed(50, 3000000, 5, 10, "replace")

    def test_threads(self):
        self.check_random_mixed(5000, 300, 9, 50, "classic", threads=3)
        self.check_random_mixed(5000, 300, 9, 50, "replace", threads=3)

    def test_default_slots(self):
        self.assertEqual(run_json("random_mixed_system", "100", "64", "1")["slots"], 2048)

    def test_larson(self):
        for binary in ["larson", "larson_system"]:
            result = run_json(binary, "3", "10", "10", "50", "4", "6", "7")
            self.assertEqual((result["operations"], result["bytes_requested"]), (3 * 50 * 4 * 6, 10 * 3 * 50 * 4 * 6))
        self.assertEqual(*(run_json(b, *SMALL_RUNS["larson"])["bytes_requested"] for b in ["larson", "larson_system"]))
        self.assertEqual(run_json("larson_system", "1", "1", "9", "1", "1", "1", "1")["operations"], 1)

    def test_producer_consumer(self):
        for batches in [1, 7, 8, 9, 16, 17, 100]:  # around the length of the queue and its half
            result = run_json("producer_consumer_system", str(batches), "3", "10", "10", "7", "--pairs=2")
            self.assertEqual((result["operations"], result["bytes_requested"]), (6 * batches, 60 * batches))
        names = ["producer_consumer", "producer_consumer_system"]
        self.assertEqual(*(run_json(n, *SMALL_RUNS["producer_consumer"])["bytes_requested"] for n in names))

    def test_every_block_is_freed(self):
        # 300 MB in all, of which less than 10 MB are live at any time.
        for binary, *arguments in [("random_mixed_system", "600000", "2000", "1", "1000", "--mode=classic"),
                                   ("random_mixed_system", "300000", "2000", "1", "1000", "--mode=replace"),
                                   ("larson_system", "10", "1000", "1000", "1000", "10", "3", "1"),
                                   ("producer_consumer_system", "600", "500", "1000", "1000", "1")]:
            with self.subTest(binary, arguments=arguments):
                result = run_json(binary, *arguments)
                self.assertGreater(result["bytes_requested"], 290e6)
                self.assertLess(result["peak_rss_kib"], 30000)


class Errors(unittest.TestCase):
    def test_bad_arguments(self):
        for binary, arguments, message in [
            ("random_mixed_system", "", "ITERATIONS, MAX_SIZE and SEED are needed"),
            ("random_mixed_system", "1000 256", "ITERATIONS, MAX_SIZE and SEED are needed"),
            ("random_mixed_system", "1000 256 1 2 3", 'one argument too many: "3"'),
            ("random_mixed_system", "0 256 1", "ITERATIONS: 0 is not in 1..281474976710656"),
            ("random_mixed_system", "1e6 256 1", 'ITERATIONS: "1e6" is not a decimal number'),
            ("random_mixed_system", "1000 15 1", "MAX_SIZE: 15 is not in 16..1073741824"),
            ("random_mixed_system", "1000 256 99999999999999999999", "SEED: 99999999999999999999 is too large"),
            ("random_mixed_system", "1000 256 1 0", "SLOTS: 0 is not in 1..268435456"),
            ("random_mixed_system", "1000 256 -1", 'unknown option "-1"'),
            ("random_mixed_system", "1000 256 1 --threads=", "--threads is empty"),
            ("random_mixed_system", "1000 256 1 --threads=1025", "--threads: 1025 is not in 1..1024"),
            ("random_mixed_system", "1000 256 1 --mode=both", '--mode: "both" is neither classic nor replace'),
            ("random_mixed_system", "1000 256 1 --mode", 'unknown option "--mode"'),
            ("larson_system", "1 2 3 4 5 6", "seven arguments are needed"),
            ("larson_system", "1 20 10 4 5 6 7", "MAX_SIZE: 10 is not in 20..1073741824"),
            ("larson_system", "1 8 10 4 5 6 7 --null", 'unknown option "--null"'),
            ("producer_consumer_system", "1 2 3 4", "five arguments are needed"),
            ("producer_consumer_system", "1 2 3 4 5 --pairs=0", "--pairs: 0 is not in 1..512"),
        ]:
            with self.subTest(arguments, binary=binary):
                done = run(binary, *arguments.split())
                name = binary.removesuffix("_system")
                self.assertEqual((done.returncode, done.stdout, done.stderr),
                                 (2, "", f"{name}: {message}\n{name}: try --help\n"))

    def test_out_of_memory(self):
        for binary, mode in [("random_mixed", "classic"), ("random_mixed_system", "replace")]:
            done = run(binary, "100000", "100000000", "1", f"--mode={mode}", limit=1 << 30)
            self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
            self.assertRegex(done.stderr, r"\Arandom_mixed: malloc\([0-9]+\) returned NULL\n\Z")


class Loop(unittest.TestCase):
    """The compiler may remove a malloc whose result it sees freed, or unroll the loop: then something else is measured."""

    @classmethod
    def setUpClass(cls):
        try:
            done = subprocess.run(["objdump", "-d", "--no-show-raw-insn", BINARIES / "random_mixed_system"],
                                  capture_output=True, text=True, check=True)
        except FileNotFoundError:
            raise AssertionError("objdump is missing: install Debian's package binutils") from None
        cls.functions = dict(re.findall(r"^[0-9a-f]+ <([^>]+)>:\n((?:.+\n)+)", done.stdout, re.MULTILINE))

    def calls(self, function):
        targets = re.findall(r"\bcall\s.*<([a-z_]+)(?:@plt)?>", self.functions[function])
        return sorted(t for t in targets if not t.startswith("bench_fail"))

    def test_calls(self):
        self.assertEqual(self.calls("run_classic"), ["free", "malloc"])
        self.assertEqual(self.calls("run_replace"), ["free", "malloc"])
        self.assertEqual(self.calls("run_classic_null"), [])
        self.assertEqual(self.calls("run_replace_null"), [])

    def test_no_division(self):
        for function in ["run_classic", "run_replace", "run_classic_null", "run_replace_null"]:
            self.assertNotRegex(self.functions[function], r"\bi?div[lq]?\b")


if __name__ == "__main__":
    unittest.main(verbosity=2)
