#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds the commit since which an input fails, by git bisect.

    tools/bazel run //fuzz:bisect -- --good=COMMIT [--bad=HEAD] [--config=asan] --target=TARGET INPUT

Every commit is built in a clone below --work, with Bazel's directories beside it, and runs the input: the checkout that this is
started from is only read, and what is not committed there does not count. A commit that cannot be built is skipped. An input
means the same program only as long as the language of fuzz/op is the same; that it fails at --bad and passes at --good is
looked at first. The status is 0 where the commit was found.
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import regress  # noqa: E402
import counted_run  # noqa: E402 pylint: disable=wrong-import-order
import files  # noqa: E402 pylint: disable=wrong-import-order
from trial import Failure  # noqa: E402

# What git bisect run understands.
GOOD, BAD, SKIP = 0, 1, 125
# No commit can be tested: git bisect run ends at a status from 128 on.
STOP = 128
# The file by which a directory is known as a search's.
MARK = ".find_commit"


class Clone:
    """A clone of the user's repository, and how it is built."""

    def __init__(self, work, target, config):
        self.work, self.target, self.config = work, target, config
        self.path = os.path.join(work, "clone")

    def git(self, *arguments, check=True):
        return git(self.path, *arguments, check=check)

    def make(self, repository):
        """Its place is always the same, so that what Bazel made in an earlier run holds. Whoever makes it holds the work."""
        shutil.rmtree(self.path, ignore_errors=True)
        git(self.work, "clone", "--quiet", "--shared", "--no-checkout", repository, self.path)
        # What this machine needs goes with it.
        settings = os.path.join(repository, "user.bazelrc")
        if os.path.exists(settings):
            shutil.copyfile(settings, os.path.join(self.path, "user.bazelrc"))

    def bazel(self, *arguments):
        command = [os.path.join(self.path, "tools", "bazel"), "--output_base=" + os.path.join(self.work, "output_base")]
        # An old commit may ask for packages of its time.
        environment = dict(os.environ, HAKMEM_SETUP="off")
        with open(os.path.join(self.work, "bazel.log"), "ab") as log:
            return subprocess.run(command + list(arguments), cwd=self.path, env=environment, stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=subprocess.STDOUT, check=False).returncode

    def build(self):
        """The program, or None where it cannot be built."""
        options = ["--config=" + self.config] if self.config else []
        cache = "--disk_cache=" + os.path.join(self.work, "disk_cache")
        program = os.path.join(self.path, "bazel-bin", "fuzz", self.target + "_bin")
        try:
            if self.bazel("build", cache, *options, "//fuzz:%s_bin" % self.target) != 0:
                return None
        except OSError:
            return None  # before there was tools/bazel, or it is no program
        return program if os.path.exists(program) else None

    def try_input(self, path):
        """GOOD, BAD or SKIP, of the commit that is checked out."""
        program = self.build()
        subject = self.git("log", "-1", "--format=%h %s").stdout.strip()
        if program is None:
            print("%s: cannot be built" % subject, flush=True)
            return SKIP
        engine = "libfuzzer" if self.config and "libfuzzer" in self.config else "replay"
        failure = regress.run_input(program, engine, path)
        print("%s: %s" % (subject, regress.say(failure)), flush=True)
        return GOOD if failure.kind is None else BAD


def git(directory, *arguments, check=True):
    # A variable that names another repository would be obeyed.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    with subprocess.Popen(["git", "-C", directory, *arguments], env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace") as process:
        try:
            output, errors = process.communicate()
        except BaseException:
            # git bisect run has started others, which would go on in the clone.
            counted_run.kill_tree(process.pid)
            raise
    if check and process.returncode != 0:
        raise Failure("git %s: %s" % (" ".join(arguments), errors.strip()))
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def commit_of(repository, name):
    return git(repository, "rev-parse", "--verify", "--quiet", name + "^{commit}", check=False).stdout.strip() or None


def resolve(repository, name):
    found = commit_of(repository, name)
    if found is None:
        raise Failure("there is no commit %s in %s" % (name, repository))
    return found


def hold(work):
    """The work directory is this search's until the file that is returned is closed. What is in it is thrown away, so it is one
    that a search made."""
    mark = os.path.join(work, MARK)
    try:
        found = set(os.listdir(work)) - {"lock"}
    except FileNotFoundError:
        found = set()
    except OSError as problem:
        raise Failure("--work: %s: %s" % (work, problem.strerror)) from None
    if found and MARK not in found:
        raise Failure("--work: %s has files that are no search's: choose a directory that is empty or does not exist" % work)
    held = files.lock(work, "search")
    files.write(mark, "Made by find_commit.py, which removes what lies here.\n")
    return held


def look_at(clone, commit, path, wanted, complaint):
    clone.git("checkout", "--quiet", "--detach", commit)
    found = clone.try_input(path)
    if found == SKIP:
        raise Failure("%s cannot be built: see %s/bazel.log" % (commit[:12], clone.work))
    if found != wanted:
        raise Failure(complaint)


def read_skipped(text):
    """The commits that git is left with where it cannot say which."""
    return re.findall(r"^[0-9a-f]{40}$", text, re.M)


def bisect(repository, work, options, path):
    """Returns the commits that it can be: one, if all could be built."""
    clone = Clone(work, options.target, options.config)
    good, bad = resolve(repository, options.good), resolve(repository, options.bad)
    clone.make(repository)
    try:
        look_at(clone, bad, path, BAD, "the input passes at --bad=%s" % options.bad)
        look_at(clone, good, path, GOOD, "the input fails at --good=%s already" % options.good)
        clone.git("bisect", "start", bad, good)
        # This program again, in the clone.
        step = [sys.executable, "-B", os.path.realpath(__file__), "--step", "--work=" + work, "--target=" + options.target]
        step += ["--config=" + options.config] if options.config else []
        result = clone.git("bisect", "run", *step, path, check=False)
        print("".join(line + "\n" for line in result.stdout.split("\n") if re.match(r"[0-9a-f]{7,} .*: ", line)), end="")
        left = read_skipped(result.stdout)
        if result.returncode == 0:
            return [clone.git("rev-parse", "refs/bisect/bad").stdout.strip()]
        if left:
            return left
        raise Failure("git bisect run: %s%s" % (result.stdout[-2000:], result.stderr[-2000:]))
    finally:
        # Its server would stay for hours. An old commit has no tools/bazel to say so to.
        with contextlib.suppress(OSError):
            clone.bazel("shutdown")


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="bisect", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--good", metavar="COMMIT", help="where the input passes")
    parser.add_argument("--bad", metavar="COMMIT", default="HEAD", help="where it fails (default HEAD)")
    parser.add_argument("--target", required=True)
    parser.add_argument("--config", help="of .bazelrc: asan, ubsan, libfuzzer … (default: none, which replays)")
    parser.add_argument("--work", default="/tmp/fuzzing/bisect", metavar="DIRECTORY", help="default %(default)s")
    parser.add_argument("--repository", default=os.environ.get("BUILD_WORKSPACE_DIRECTORY", "."), metavar="DIRECTORY",
                        help="default: the one that `bazel run` was called in")
    parser.add_argument("--step", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("input", metavar="INPUT")
    options = parser.parse_args(arguments)
    if not options.step and not options.good:
        parser.error("--good is missing")
    return options


def main(arguments):
    options = parse_arguments(arguments)
    work = os.path.abspath(os.path.join(regress.binaries.USER_DIRECTORY, options.work))
    if options.step:
        return Clone(work, options.target, options.config).try_input(options.input)
    if shutil.which("git") is None:
        raise Failure("git is missing: apt-get install git")
    path = regress.input_of(os.path.abspath(os.path.join(regress.binaries.USER_DIRECTORY, options.input)))
    with hold(work):
        found = bisect(os.path.abspath(options.repository), work, options, path)
    if len(found) > 1:
        print("one of these, which could not be built but the last:")
    else:
        print("fails since:")
    for commit in found:
        print(git(os.path.abspath(options.repository), "log", "-1", "--format=%H %cs %s", commit).stdout.strip())
    return 0 if len(found) == 1 else 1


def run_step(arguments):
    """To git every other status would be an answer about the commit."""
    try:
        return main(arguments)
    except Failure as failure:
        print("bisect: %s" % failure, file=sys.stderr)
        return STOP
    except BaseException:  # pylint: disable=broad-except
        traceback.print_exc()
        return STOP


if __name__ == "__main__":
    regress.run_program("bisect", run_step if "--step" in sys.argv else main)
