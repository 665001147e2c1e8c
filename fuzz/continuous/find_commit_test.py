#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""find_commit.py on a small repository whose tools/bazel is a script: git is the real one."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import find_commit  # noqa: E402

# Builds what the commit's source says: a program that fails on an input, or nothing.
BAZEL = """#!/bin/sh
echo "$@" >>"$HAKMEM_TEST_CALLS"
case "$2" in
  shutdown) exit 0 ;;
  build) ;;
  *) exit 9 ;;
esac
if grep -q broken source; then exit 1; fi
if grep -q slow source; then echo $$ >"$HAKMEM_TEST_CALLS.slow" && exec sleep 100; fi
mkdir -p bazel-bin/fuzz
cp source bazel-bin/fuzz/toy_bin
chmod +x bazel-bin/fuzz/toy_bin
"""
GOOD = "#!/bin/sh\nexit 0\n"
BAD = "#!/bin/sh\ngrep -q bad \"$1\" && kill -ABRT $$\nexit 0\n"
BROKEN = "broken\n"
SLOW = "slow\n"


def is_running(pid):
    """Whether there is such a process that has not ended, even if nobody has asked for its status."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as stat:
            return stat.read().rsplit(") ", 1)[1][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class FindCommit(unittest.TestCase):
    def setUp(self):
        if shutil.which("git") is None:
            self.fail("git is missing: apt-get install git")
        self.temporary = tempfile.TemporaryDirectory()
        self.repository = os.path.join(self.temporary.name, "repository")
        self.work = os.path.join(self.temporary.name, "work")
        self.calls = os.path.join(self.temporary.name, "calls")
        self.input = self.write("input", "bad")
        os.makedirs(os.path.join(self.repository, "tools"))
        self.git("init", "--quiet")
        self.write("repository/tools/bazel", BAZEL)
        os.chmod(os.path.join(self.repository, "tools", "bazel"), 0o755)

    def tearDown(self):
        self.temporary.cleanup()

    def write(self, name, text):
        path = os.path.join(self.temporary.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def git(self, *arguments):
        command = ["git", "-C", self.repository, "-c", "user.name=test", "-c", "user.email=test@example.org", *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout.strip()

    def commit(self, *sources):
        """A commit each; their names."""
        names = []
        for number, source in enumerate(sources):
            self.write("repository/source", source)
            self.write("repository/number", str(number))
            self.git("add", "-A")
            self.git("commit", "--quiet", "-m", "number %d" % number)
            names.append(self.git("rev-parse", "HEAD"))
        return names

    def find(self, good, *more, path=None):
        script = os.path.join(HERE, "find_commit.py")
        command = [sys.executable, "-B", script, "--good=" + good, "--repository=" + self.repository, "--work=" + self.work,
                   "--target=toy", *more, path or self.input]
        environment = dict(os.environ, HAKMEM_TEST_CALLS=self.calls)
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              encoding="utf-8")

    def state(self):
        """Of the user's checkout, with all that git keeps of it."""
        kept = sorted(os.path.join(folder, name) for folder, _, names in os.walk(self.repository) for name in names)
        return (self.git("status", "--porcelain", "--branch"), self.git("rev-parse", "HEAD"), self.git("for-each-ref"),
                [path for path in kept if not path.endswith("/index")])

    def test_finds_it(self):
        names = self.commit(*[GOOD] * 5, *[BAD] * 6)
        self.write("repository/source", "what is not committed")
        before = self.state()
        result = self.find(names[0])
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertIn("fails since:\n%s " % names[5], result.stdout)
        self.assertTrue(result.stdout.endswith(" number 5\n"), result.stdout)
        self.assertEqual(before, self.state())
        with open(self.calls, encoding="utf-8") as file:
            calls = file.read().splitlines()
        self.assertTrue(all(call.startswith("--output_base=%s/output_base " % self.work) for call in calls), calls)
        self.assertTrue(calls[-1].endswith(" shutdown"))
        # Both ends, and at most log2(10) commits between.
        self.assertLessEqual(len(calls), 2 + 4 + 1)

    def test_of_each_commit(self):
        for first in (1, 2, 6):
            names = self.commit(*[GOOD] * first, *[BAD] * (7 - first))
            result = self.find(names[0], "--bad=" + names[-1])
            self.assertIn("fails since:\n%s " % names[first], result.stdout)

    def test_skips_what_cannot_be_built(self):
        names = self.commit(GOOD, GOOD, BROKEN, GOOD, BAD, BROKEN, BAD, BAD)
        result = self.find(names[0])
        self.assertEqual(0, result.returncode, result.stdout + result.stderr)
        self.assertIn("fails since:\n%s " % names[4], result.stdout)

    def test_says_where_it_cannot_know(self):
        names = self.commit(GOOD, GOOD, BROKEN, BROKEN, BAD, BAD)
        result = self.find(names[0])
        self.assertEqual(1, result.returncode, result.stderr)
        told = result.stdout[result.stdout.index("one of these"):]
        self.assertEqual(sorted(names[2:5]), sorted(line.split()[0] for line in told.splitlines()[1:]))
        self.assertIn("cannot be built", result.stdout)

    def test_ends_that_are_not_what_they_should_be(self):
        names = self.commit(GOOD, BAD, BROKEN)
        for good, bad, complaint in ((0, 0, "passes at --bad"), (1, 1, "fails at --good"), (2, 1, "cannot be built"),
                                     (0, 2, "cannot be built")):
            result = self.find(names[good], "--bad=" + names[bad])
            self.assertEqual(2, result.returncode)
            self.assertIn(complaint, result.stderr)
        result = self.find("nowhere")
        self.assertEqual(2, result.returncode)
        self.assertIn("there is no commit nowhere", result.stderr)
        passes = self.write("passes", "fine")
        self.assertIn("passes at --bad", self.find(names[0], "--bad=" + names[1], path=passes).stderr)

    def test_config(self):
        names = self.commit(GOOD, GOOD, BAD)
        result = self.find(names[0], "--config=asan")
        self.assertIn("fails since:\n%s " % names[2], result.stdout)
        with open(self.calls, encoding="utf-8") as file:
            builds = [call for call in file.read().splitlines() if " build " in call]
        self.assertEqual(3, len(builds))
        self.assertTrue(all("--config=asan //fuzz:toy_bin" in call for call in builds), builds)

    def test_a_directory_that_is_not_its_own(self):
        names = self.commit(GOOD, BAD)
        os.makedirs(os.path.join(self.work, "clone"))
        kept = self.write("work/clone/thesis", "years of work")
        result = self.find(names[0])
        self.assertEqual((2, 1), (result.returncode, result.stderr.count("\n")), result.stderr)
        self.assertIn("no search's", result.stderr)
        self.assertTrue(os.path.exists(kept))
        self.assertEqual(["clone"], os.listdir(self.work))
        self.work = kept
        result = self.find(names[0])
        self.assertEqual((2, 1), (result.returncode, result.stderr.count("\n")), result.stderr)
        # An empty one becomes its own, and so it may use it again.
        self.work = os.path.join(self.temporary.name, "empty")
        os.mkdir(self.work)
        for _ in range(2):
            self.assertEqual(0, self.find(names[0]).returncode)
            self.assertTrue(os.path.isdir(os.path.join(self.work, "clone")))

    def test_one_search_at_a_time(self):
        names = self.commit(GOOD, BAD)
        with find_commit.hold(self.work):
            result = self.find(names[0])
        self.assertEqual((2, 1), (result.returncode, result.stderr.count("\n")), result.stderr)
        self.assertIn("another search uses", result.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.work, "clone")))
        self.assertEqual(0, self.find(names[0]).returncode)

    def test_told_to_end_it_leaves_nobody(self):
        commits = self.commit(GOOD, SLOW, BAD)
        command = [sys.executable, "-B", os.path.join(HERE, "find_commit.py"), "--good=" + commits[0], "--target=toy",
                   "--repository=" + self.repository, "--work=" + self.work, self.input]
        slow = self.calls + ".slow"
        with subprocess.Popen(command, env=dict(os.environ, HAKMEM_TEST_CALLS=self.calls), stdout=subprocess.DEVNULL) as search:
            while not (os.path.exists(slow) and os.path.getsize(slow)):
                self.assertIsNone(search.poll())
                time.sleep(0.02)
            with open(slow, encoding="utf-8") as file:
                build = int(file.read())
            self.assertTrue(is_running(build))
            search.terminate()
            self.assertEqual(search.wait(), 130)
        for _ in range(250):
            if not is_running(build):
                return
            time.sleep(0.02)
        os.kill(build, signal.SIGKILL)
        self.fail("the build that git bisect run had started went on")

    def test_a_step_that_goes_wrong_is_no_answer(self):
        self.assertEqual(find_commit.STOP, find_commit.run_step(["--step", "--target=toy", "--work=/nonexistent", self.input]))


if __name__ == "__main__":
    unittest.main()
