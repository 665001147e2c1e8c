# SPDX-License-Identifier: Apache-2.0
"""What every system test is made of: running programs with and without a preloaded library, and comparing what they do.

A Session is one pass over a scenario (a function that runs programs and notes down what it saw) in a directory of its
own, with one library preloaded or none. compare() holds two passes against each other. Programs come from Debian's
packages and are named by absolute path; one that is missing is an error that names its package.
"""

import difflib
import hashlib
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile

# Where each program comes from. Absolute paths: a machine may have other versions in PATH.
PACKAGES = {
    "/usr/bin/clang-19": "clang-19",
    "/usr/bin/g++": "g++",
    "/usr/bin/gcc": "gcc",
    "/usr/bin/git": "git",
    "/usr/bin/ls": "coreutils",
    "/usr/bin/node": "nodejs",
    "/usr/bin/nm": "binutils",
    "/usr/bin/perl": "perl",
    "/usr/bin/python3": "python3",
    "/usr/bin/redis-benchmark": "redis-tools",
    "/usr/bin/redis-cli": "redis-tools",
    "/usr/bin/redis-server": "redis-server",
    "/usr/bin/sh": "dash",
    "/usr/bin/sqlite3": "sqlite3",
    "/usr/lib/llvm-19/bin/ld.lld": "lld-19",
    "/usr/lib/python3.11/test/test_json/__init__.py": "libpython3.11-testsuite",
}


class Failure(Exception):
    """A test failed; the text says how."""


def installed(path):
    """Returns path if Debian's package put it there; otherwise fails and names the package."""
    if not os.path.exists(path):
        raise Failure(f"{path} is missing: install Debian's package {PACKAGES[path]} (apt-get install {PACKAGES[path]})")
    return path


def base_environment(home):
    """An environment that is the same on every machine, so that programs print the same."""
    return {
        "HOME": home,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/bin:/bin",
        "TMPDIR": home,
        "TZ": "UTC",
    }


def stop(process):
    """Ends a process that this test started, with its children, and waits for it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def describe_status(status):
    if status is None:
        return "still running at the deadline"
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


def run(arguments, environment, directory, stdin=b"", deadline=120):
    """Runs a program; returns (status, stdout, stderr) with status None if the deadline passed."""
    # Outputs go to files, not to pipes: a child that outlives the program cannot hold the test up.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as source:
        source.write(stdin)
        source.seek(0)
        try:
            process = subprocess.Popen(arguments, stdin=source, stdout=out, stderr=err, env=environment, cwd=directory,
                                       start_new_session=True)
        except OSError as error:
            return 127, b"", f"cannot be started: {error}".encode()
        try:
            status = process.wait(timeout=deadline)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            stop(process)
        out.seek(0)
        err.seek(0)
        return status, out.read(), err.read()


class Session:
    """One pass over a scenario: programs run in directory, with library preloaded unless it is None."""

    def __init__(self, label, library, directory, files, deadline):
        self.label = label
        self.library = library
        self.directory = directory
        self.files = files  # name -> path of what the scenario needs (scripts, sources)
        self.deadline = deadline
        self.observations = []  # (what, text), compared one by one with those of another session
        self.environment = base_environment(directory)
        if library:
            self.environment["LD_PRELOAD"] = library

    def observe(self, what, text):
        self.observations.append((what, text))

    def run(self, arguments, stdin="", environment=None, expected=0, normalise=None, compare_output=True, compare_errors=True):
        """Runs a program and notes its status, stdout and stderr. Returns (status, stdout).

        Without a preloaded library it must end with the expected status: two equal failures would compare nothing.
        normalise(text) takes out what differs between any two runs (times, process ids); compare_output and
        compare_errors are for outputs that hold nothing else.
        """
        arguments = [installed(arguments[0])] + arguments[1:] if arguments[0] in PACKAGES else arguments
        status, out, err = run(arguments, {**self.environment, **(environment or {})}, self.directory, stdin.encode(),
                               self.deadline)
        what = " ".join(os.path.basename(arguments[0]) if n == 0 else a for n, a in enumerate(arguments))
        what = what if len(what) < 100 else what[:97] + "..."
        normalise = normalise or (lambda text: text)
        out, err = out.decode(errors="backslashreplace"), err.decode(errors="backslashreplace")
        if not self.library and status != expected:
            raise Failure(f"without a preloaded library: {what}: {describe_status(status)}\n{out[-2000:]}\n{err[-2000:]}")
        self.observe(f"status of: {what}", describe_status(status))
        if compare_output:
            self.observe(f"stdout of: {what}", normalise(out))
        if compare_errors:
            self.observe(f"stderr of: {what}", normalise(err))
        elif status != 0:
            self.observe(f"stderr (failed) of: {what}", err)
        return status, out

    def start(self, arguments, log):
        """Starts a server whose output goes to the file log. The caller stops it with harness.stop()."""
        with open(os.path.join(self.directory, log), "wb") as output:
            return subprocess.Popen([installed(arguments[0])] + arguments[1:], stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=output, env=self.environment, cwd=self.directory, start_new_session=True)

    def observe_file(self, name):
        """Notes the size and the digest of a file that a program wrote."""
        try:
            with open(os.path.join(self.directory, name), "rb") as source:
                content = source.read()
            self.observe(f"file {name}", f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
        except FileNotFoundError:
            self.observe(f"file {name}", "not written")

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as target:
            target.write(text)


def run_session(scenario, label, library, parent, files, deadline):
    """Runs a scenario in a fresh directory, whose name is the same in each session, as programs print it."""
    directory = os.path.join(parent, "work")
    os.mkdir(directory)
    session = Session(label, library, directory, files, deadline)
    try:
        scenario(session)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return session


def first_difference(expected, actual):
    """Returns a text that shows the first difference between two sessions, or None if they saw the same."""
    for (what, text), (other_what, other_text) in zip(expected.observations, actual.observations):
        if what != other_what:
            return f"{expected.label} went on with '{what}', {actual.label} with '{other_what}'"
        if text != other_text:
            lines = list(difflib.unified_diff(text.splitlines(), other_text.splitlines(), expected.label, actual.label,
                                              lineterm="", n=1))
            more = [f"… {len(lines) - 40} more lines"] if len(lines) > 40 else []
            return "\n".join([f"different {what}"] + lines[:40] + more)
    if len(expected.observations) != len(actual.observations):
        return f"{len(expected.observations)} observations in {expected.label}, {len(actual.observations)} in {actual.label}"
    return None


def without_times(text):
    """Replaces figures such as 0.123s or 12 ms, which no two runs share."""
    return re.sub(r"\b\d+(\.\d+)? ?(m?s|seconds?)\b", "TIME", text)


def absolute(path):
    path = os.path.abspath(path)
    if not os.path.exists(path):
        raise Failure(f"no such file: {path}")
    return path


def named_files(pairs):
    """Turns NAME=PATH arguments into a list of (name, absolute path)."""
    result = []
    for pair in pairs:
        name, separator, path = pair.partition("=")
        if not separator:
            raise Failure(f"expected NAME=PATH, not '{pair}'")
        result.append((name, absolute(path)))
    return result


def check_preload(library, which_malloc, directory):
    """Fails unless a preloaded program takes malloc from library and says nothing about it."""
    environment = {**base_environment(directory), "LD_PRELOAD": library}
    status, out, err = run([which_malloc], environment, directory)
    found = os.path.realpath(out.decode().strip())
    if status != 0 or err or found != os.path.realpath(library):
        raise Failure(f"LD_PRELOAD={library} does not supply malloc: a program finds it in '{found}' "
                      f"({describe_status(status)}) {err.decode()}")


def temporary_directory():
    # Not below the test's own directory, whose path may be too long for a socket's address.
    return tempfile.TemporaryDirectory(prefix="hakmem-system-")


def no_core_files():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
