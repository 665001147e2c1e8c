# SPDX-License-Identifier: Apache-2.0
"""python3 runs a piece of its own test-suite: many small objects, threads, subprocesses.

This file is both the scenario and the script that the python3 under test runs: it prints each test's name and outcome,
in order, so that two runs can be compared test by test. PYTHONMALLOC=malloc sends each object to malloc; without it
python3 takes small ones from arenas of its own, which it maps itself.
"""

import sys

# Modules that take a second or so each. From test_threading only the classes that finish quickly.
WITH_MALLOC = [
    "test_json", "test_dict", "test_list", "test_set", "test_bytes", "test_re", "test_collections", "test_heapq", "test_sort",
    "test_gc", "test_deque", "test_unicode", "test_itertools", "test_memoryview",
    "test_ctypes", "test_thread",
]
WITH_ARENAS = [
    "test_json", "test_dict", "test_list", "test_zlib", "test_array", "test_ordered_dict", "test_struct",
    "test_csv", "test_hashlib", "test_random", "test_threading.ThreadTests", "test_threading.LockTests",
    "test_threading.CRLockTests", "test_threading.ConditionTests", "test_threading.SemaphoreTests",
    "test_threading.ThreadJoinOnShutdown", "test_threading.SubinterpThreadingTests",
]


def scenario(session):
    import harness
    harness.installed("/usr/lib/python3.11/test/test_json/__init__.py")
    for names, environment in ((WITH_MALLOC, {"PYTHONMALLOC": "malloc"}), (WITH_ARENAS, {})):
        status, out = session.run(["/usr/bin/python3", session.files["python_suite"]] + names, compare_errors=False,
                                  environment={"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", **environment})
        last = out.splitlines()[-1:] or ["nothing"]
        print(f"  {session.label}: {last[0]}", flush=True)
        if session.library is None and (status != 0 or not last[0].endswith(" OK")):
            raise harness.Failure(f"python3's own tests fail on this machine even without preload: {last[0]}")


def main(names):
    import unittest

    class Outcomes(unittest.TestResult):
        """Prints one line for each test when it has ended."""

        def report(self, test, outcome):
            print(test.id(), outcome, flush=True)

        def addSuccess(self, test):
            self.report(test, "ok")

        def addSkip(self, test, reason):
            self.report(test, f"skipped: {reason}")

        def addFailure(self, test, error):
            super().addFailure(test, error)
            self.report(test, "FAILED")

        def addError(self, test, error):
            super().addError(test, error)
            self.report(test, "ERROR")

        def addExpectedFailure(self, test, error):
            self.report(test, "expected failure")

        def addUnexpectedSuccess(self, test):
            super().addUnexpectedSuccess(test)
            self.report(test, "UNEXPECTED SUCCESS")

    # The test-suite is Debian's, not a folder "test" beside this script.
    sys.path.pop(0)
    import test.support
    # As python3 -m test has it: no progress messages, nothing that needs the network or much memory.
    test.support.verbose = 0
    test.support.use_resources = []
    suite = unittest.defaultTestLoader.loadTestsFromNames(["test." + name for name in names])
    result = Outcomes()
    suite.run(result)
    for test, text in result.failures + result.errors:
        print(test, text, file=sys.stderr)
    print(f"{result.testsRun} tests: {'OK' if result.wasSuccessful() and result.testsRun else 'FAILED'}")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
