#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole runner with scripts in place of the engines: killed at random moments, told to end, alone in its directory."""

import glob
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "seeded")]

import fake_engines  # noqa: E402
import files  # noqa: E402
import upkeep  # noqa: E402

KILLS = 20
SECONDS_MOST = 60


class Runner(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.programs = fake_engines.make_programs(os.path.join(self.temporary.name, "programs"))
        self.state = os.path.realpath(os.path.join(self.temporary.name, "state"))
        self.addCleanup(upkeep.end_orphans, self.state)
        self.output = os.path.join(self.temporary.name, "output")
        files.write(self.output, "")
        self.environment = dict(os.environ, PATH=os.path.join(self.programs, "bin") + ":" + os.environ["PATH"])

    def start(self, *more, **environment):
        command = [sys.executable, "-B", os.path.join(HERE, "continuous.py"), "--state=" + self.state, "--jobs=3",
                   "--slice=0.2", "--coverage-minutes=0", "--programs=" + self.programs, "--variant=fake"]
        with open(self.output, "ab") as output:
            process = subprocess.Popen(command + list(more), env=dict(self.environment, **environment), stdout=output,
                                       stderr=subprocess.STDOUT, start_new_session=True)
        self.addCleanup(self.kill, process)
        return process

    @staticmethod
    def kill(process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def say(self):
        return files.read(self.output).decode("utf-8", "replace")

    def status(self):
        return files.read_json(os.path.join(self.state, "status.json"))

    def has_crash(self):
        return (self.status() or {"targets": [{"crashes": []}]})["targets"][0]["crashes"]

    def wait_for(self, question, process):
        end = time.monotonic() + SECONDS_MOST
        while not question():
            self.assertIsNone(process.poll(), self.say())
            self.assertLess(time.monotonic(), end, self.say())
            time.sleep(0.02)

    def corpus_files(self):
        return files.entries(os.path.join(self.state, "one", "corpus"))

    def look(self):
        """Every file that is there is whole. Returns the edges of the corpus."""
        corpus = os.path.join(self.state, "one", "corpus")
        for name in files.entries(corpus):
            self.assertEqual(files.sha1_of(files.read(os.path.join(corpus, name))), name)
        for name in ("state.json", "status.json"):
            if os.path.exists(os.path.join(self.state, name)):
                self.assertTrue(files.read_json(os.path.join(self.state, name)))
        crashes = os.path.join(self.state, "one", "crashes")
        for name in os.listdir(crashes) if os.path.isdir(crashes) else []:
            if not name.startswith("."):
                self.assertEqual(files.read_json(os.path.join(crashes, name, "crash.json"))["id"], name)
        return fake_engines.edges_below(corpus)

    def end(self, process, number=signal.SIGTERM):
        process.send_signal(number)
        self.assertEqual(process.wait(SECONDS_MOST), 0, self.say())

    def test_killed_at_random_moments(self):
        seed = int(os.environ.get("TEST_RANDOM_SEED", time.time()))
        print("seed %d" % seed)
        moments, seen, kept, counted = random.Random(seed), set(), set(), 0.0
        for _ in range(KILLS):
            process = self.start(FAKE_FINDS="BADzero BADcontent")
            self.wait_for(lambda: os.path.isdir(os.path.join(self.state, "one")), process)
            time.sleep(moments.uniform(0, 1.6))
            seen |= fake_engines.edges_below(os.path.join(self.state, "one", "corpus"))
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self.assertLessEqual(seen, self.look())
            # What libFuzzer had kept by then is taken over at the next start.
            for new in glob.glob(os.path.join(self.state, "one", "work", "*", "new")):
                kept |= fake_engines.edges_below(new)
            state = files.read_json(os.path.join(self.state, "state.json"))
            if state:
                now = sum(instance["cpu_seconds"] for instance in state["instances"].values())
                self.assertGreaterEqual(now, counted)
                counted = now
        process = self.start(FAKE_FINDS="BADzero BADcontent")
        crashes = os.path.join(self.state, "one", "crashes")
        self.wait_for(lambda: "merge:" in self.say() and len(
            [name for name in os.listdir(crashes) if not name.startswith(".")]) == 2, process)
        self.end(process)
        self.assertLessEqual(seen | kept, self.look())
        self.assertGreater(len(seen), 100)
        self.assertGreater(len(kept), 100)
        self.assertIn("merge:", self.say())
        crashes = self.status()["targets"][0]["crashes"]
        self.assertEqual({re.match(r"oracle (\w+)", crash["summary"]).group(1) for crash in crashes}, {"zero", "content"})
        self.assertEqual(upkeep.marked_processes(self.state), [])

    def test_told_to_end(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self.start()
            self.wait_for(lambda: len(self.corpus_files()) > 20 and upkeep.marked_processes(self.state), process)
            self.end(process, number)
            self.assertEqual(upkeep.marked_processes(self.state), [])
            status = self.status()
            self.assertFalse(status["running"])
            # The last slices were taken over.
            self.assertEqual(status["targets"][0]["corpus_files"], len(self.corpus_files()))
            new = [os.path.join(self.state, "one", "work", name, "new") for name in ("libfuzzer_bytes", "libfuzzer_asan")]
            self.assertEqual([files.entries(directory) for directory in new], [[], []])
            self.assertIn("running", files.read(os.path.join(self.state, "index.html")).decode("utf-8"))

    def test_status_follows_the_schema(self):
        process = self.start(FAKE_FINDS="BADzero")
        self.wait_for(self.has_crash, process)
        self.end(process)
        [target] = self.status()["targets"]
        self.assertEqual({instance["name"]: (instance["engine"], instance["mutator"], instance["sanitizer"])
                          for instance in target["instances"]}, {
                              "libfuzzer_structured": ("libfuzzer", "structured", "none"),
                              "libfuzzer_bytes": ("libfuzzer", "bytes", "none"),
                              "libfuzzer_asan": ("libfuzzer", "structured", "asan"),
                              "afl_structured": ("afl", "structured", "none"), "afl_bytes": ("afl", "bytes", "none")})
        [crash] = target["crashes"]
        self.assertEqual(set(crash), {"id", "kind", "found_by", "first_seen", "times", "reproduced", "replays", "summary",
                                      "input", "list", "program", "regression", "fixed_in"})
        self.assertTrue(os.path.isfile(os.path.join(self.state, crash["regression"])))
        with open(os.path.join(self.state, "one", "samples.jsonl"), encoding="utf-8") as samples:
            self.assertEqual(set(json.loads(samples.readline())), {"time", "edges", "corpus_files", "executions"})

    def test_only_one_at_a_time(self):
        first = self.start()
        self.wait_for(self.corpus_files, first)
        second = self.start()
        self.assertEqual(second.wait(SECONDS_MOST), 2)
        self.assertIn("another runner uses", self.say())
        self.end(first)

    def test_engines_of_a_killed_runner_are_ended(self):
        process = self.start("--slice=100")
        self.wait_for(lambda: upkeep.marked_processes(self.state), process)
        # As AFL++'s children are, it is in a session of its own, and nobody ends it with its parent.
        orphan = subprocess.Popen(["sleep", "1000"], start_new_session=True,
                                  env=dict(os.environ, FUZZ_CONTINUOUS_STATE=self.state))
        self.addCleanup(self.kill, orphan)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process = self.start()
        self.assertEqual(orphan.wait(SECONDS_MOST), -signal.SIGKILL)
        self.wait_for(lambda: "of a runner that was killed" in self.say(), process)
        self.end(process)

    def test_an_engine_that_does_not_run_is_shown(self):
        process = self.start(FAKE_BROKEN="1")
        self.wait_for(lambda: "FAILED: ended with status 1: ERROR: no such flag" in self.say(), process)
        self.wait_for(lambda: self.say().count(" afl_") > 0, process)
        self.end(process)
        states = {instance["name"]: instance["state"] for instance in self.status()["targets"][0]["instances"]}
        self.assertIn("failed", states.values())

    def test_the_disk_is_full(self):
        queues = os.path.join(self.state, "one", "work", "afl")
        process = self.start("--disk-mib=100")
        self.wait_for(lambda: len(self.corpus_files()) > 350 and os.path.isdir(queues), process)
        self.end(process)
        process = self.start("--disk-mib=1")
        self.assertEqual(process.wait(SECONDS_MOST), 1, self.say())
        self.assertIn("the corpus and the crashes alone take", self.say())
        self.assertEqual(os.listdir(queues), [])
        self.assertGreater(len(self.corpus_files()), 300)

    def refused(self, *more, **environment):
        """What is said of a start that is none, which is one line."""
        before = len(self.say())
        self.assertEqual(self.start(*more, **environment).wait(SECONDS_MOST), 2, self.say())
        said = self.say()[before:]
        self.assertEqual(said.count("\n"), 1, said)
        return said

    def test_odd_arguments(self):
        for odd in ("--slice=nan", "--slice=0", "--hours=-1", "--hours=nan", "--hours=inf", "--coverage-minutes=-1",
                    "--coverage-minutes=nan", "--minimise-seconds=inf", "--jobs=0", "--disk-mib=-5"):
            self.assertIn(odd.split("=")[0] + " must be", self.refused(odd))
        for odd in ("--targets=one,", "--targets=", "--targets=two"):
            self.assertIn("there is no target", self.refused(odd))
        for odd in ("/dev/null", "/dev/null/below", self.output, "/proc/nowhere"):
            self.assertIn("is not to be used", self.refused("--state=" + odd))
        self.assertFalse(os.path.exists(self.state))

    def with_site(self, text):
        """An environment in which Python runs this before a program."""
        directory = os.path.join(self.temporary.name, "site")
        os.makedirs(directory, exist_ok=True)
        files.write(os.path.join(directory, "sitecustomize.py"), text)
        return {"PYTHONPATH": directory}

    def test_told_to_end_while_it_starts(self):
        # At the first of its own modules.
        process = self.start(**self.with_site(
            "import os, signal, sys\n"
            "class Finder:\n"
            "    def find_spec(self, name, *_):\n"
            "        if name == 'binaries' and sys.argv[0].endswith('continuous.py'):\n"
            "            os.kill(os.getpid(), signal.SIGTERM)\n"
            "sys.meta_path.insert(0, Finder())\n"))
        self.assertEqual(process.wait(SECONDS_MOST), 0, self.say())
        self.assertFalse(self.status()["running"])

    def test_a_disk_that_does_not_take_more(self):
        switch = os.path.join(self.temporary.name, "full")
        environment = self.with_site(
            "import errno, os\n"
            "sync = os.fsync\n"
            "def full(file):\n"
            "    if os.path.exists(%r):\n"
            "        number = getattr(errno, open(%r).read())\n"
            "        raise OSError(number, os.strerror(number))\n"
            "    sync(file)\n"
            "os.fsync = full\n" % (switch, switch))
        seen = set()
        for error, text in (("ENOSPC", "No space left on device"), ("EROFS", "Read-only file system")):
            process = self.start(**environment)
            self.wait_for(lambda: len(self.corpus_files()) > 20 and upkeep.marked_processes(self.state), process)
            before = len(self.say())
            files.write(switch, error)
            self.assertEqual(process.wait(SECONDS_MOST), 1, self.say())
            said = self.say()[before:]
            self.assertIn(text, said)
            self.assertNotIn("Traceback", said)
            self.assertEqual(upkeep.marked_processes(self.state), [])
            seen |= self.look()
            for new in glob.glob(os.path.join(self.state, "one", "work", "*", "new")):
                seen |= fake_engines.edges_below(new)
            self.assertIn(text, self.refused(**environment))
            os.unlink(switch)
        process = self.start(**environment)
        before = len(self.say())
        self.wait_for(lambda: " executions " in self.say()[before:], process)
        self.end(process)
        self.assertLessEqual(seen, self.look())

    def test_a_damaged_directory(self):
        process = self.start(FAKE_FINDS="BADzero")
        self.wait_for(self.has_crash, process)
        self.end(process)
        [crash] = self.status()["targets"][0]["crashes"]
        damaged = ["state.json", "status.json", "source_coverage.json",
                   os.path.join("one", "crashes", crash["id"], "crash.json"),
                   os.path.join("one", "crashes", "notes"), os.path.join("one", "unreproducible", "notes")]
        taken = glob.glob(os.path.join(self.state, "one", "work", "*", "taken.json"))
        damaged += [os.path.relpath(path, self.state) for path in taken]
        for name in damaged:
            files.write(os.path.join(self.state, name), '{"instances": [')
        before = len(self.say())
        process = self.start()
        self.wait_for(lambda: " executions " in self.say()[before:], process)
        self.end(process)
        said = self.say()[before:]
        self.assertNotIn("Traceback", said)
        for name in damaged:
            self.assertEqual(said.count("%s is" % os.path.join(self.state, name)), 1, said)
            self.assertEqual(files.read(os.path.join(self.state, name + files.BAD)), b'{"instances": [')
        [again] = self.status()["targets"][0]["crashes"]
        self.assertEqual([again[name] for name in ("id", "input", "regression")],
                         [crash[name] for name in ("id", "input", "regression")])

    def test_another_build_fixes_a_crash(self):
        process = self.start(FAKE_FINDS="BADzero")
        self.wait_for(self.has_crash, process)
        self.end(process)
        build = self.status()["build"]
        program = os.path.join(self.programs, "one_fake_libfuzzer_bin")
        files.write(program, files.read(program) + b"# another build\n")
        os.chmod(program, 0o755)
        process = self.start(FAKE_FIXED="zero")
        self.wait_for(lambda: "is fixed in" in self.say(), process)
        self.end(process)
        # What waited to be judged when the first one ended does not fail either, and is no crash.
        [crash] = [crash for crash in self.status()["targets"][0]["crashes"] if crash["regression"]]
        self.assertEqual(crash["fixed_in"], self.status()["build"])
        self.assertNotEqual(crash["fixed_in"], build)
        self.assertIn("fixed in", files.read(os.path.join(self.state, "index.html")).decode("utf-8"))

    def test_hours(self):
        self.assertEqual(self.start("--hours=0.0005").wait(SECONDS_MOST), 0, self.say())

    def test_nobody_reads_what_it_says(self):
        reader, writer = os.pipe()
        os.close(reader)
        self.output = "/proc/self/fd/%d" % writer
        self.assertEqual(self.start("--hours=0.0005").wait(SECONDS_MOST), 0)
        os.close(writer)
        self.assertFalse(self.status()["running"])
        self.assertGreater(sum(one["runs"] for one in self.status()["targets"][0]["instances"]), 0)


if __name__ == "__main__":
    unittest.main()
