#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that bugs.def, the marks in allocator/ and the table of docs/ agree, and that nothing that is shipped is compiled with
the bugs, or with points at which fuzz/schedule stops a thread.

Bazel passes the release library, the archives of the libraries and, as the other side, one that has the bugs; and two lists
of targets that are compiled with them: of those from which the shipped ones are made, where it must be empty, and of those of
a test.
"""

import argparse
import os
import re
import sys
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import bugs_table  # noqa: E402

LAYERS = ["base", "os", "page_arena", "shared_pool", "thread_cache", "api"]
BUGS_MIN = 40
# With this the compiler makes them, and this is the name of the variable that chooses one.
DEFINE, VARIABLE = "HAK_SEEDED_BUG", b"hak_seeded_bug"
YIELD = re.compile(rb"yield_(?:point|wait|wake|released)\b|__sanitizer_cov_")
BUILD_NAMES = re.compile(r"(BUILD|BUILD\.bazel|WORKSPACE|MODULE\.bazel|.*\.bzl|.*\.bazelrc|.*\.sh|run)$")
ARGUMENTS = None


def find_problems(bugs, marks):
    """What does not agree between a table and the marks in the sources."""
    problems = []
    numbers = [bug.number for bug in bugs]
    if numbers != list(range(1, len(bugs) + 1)):
        problems.append("the numbers are not 1, 2, 3, ...")
    names = [bug.name for bug in bugs]
    problems += ["%s: two bugs have this name" % name for name in sorted({n for n in names if names.count(n) > 1})]
    in_table = {(str(bug.number), bug.file) for bug in bugs}
    problems += ["bug %s in %s: not in the table" % mark for mark in sorted(set(marks) - in_table)]
    problems += ["bug %s: no mark in %s" % mark for mark in sorted(in_table - set(marks))]
    problems += ["bug %s in %s: more than one mark" % mark for mark in sorted({m for m in marks if marks.count(m) > 1})]
    for bug in bugs:
        wrong = [word for words, known in ((bug.targets, bugs_table.TARGETS), (bug.oracles, bugs_table.ORACLES),
                                           ([bug.levels], bugs_table.LEVELS)) for word in words if word not in known]
        problems += ["bug %d: %s is no level, target or oracle" % (bug.number, word) for word in wrong]
        if not bug.targets or not bug.oracles or not bug.description.endswith("."):
            problems.append("bug %d: no targets, no oracles or no sentence" % bug.number)
    return problems


def find_gaps(bugs):
    """What no bug is for."""
    gaps = []
    for what, known, present in (
            ("layer", LAYERS, {bugs_table.layer_of(bug) for bug in bugs}),
            ("level", bugs_table.LEVELS, {bug.levels for bug in bugs}),
            ("target", bugs_table.TARGETS, {target for bug in bugs for target in bug.targets}),
            ("oracle", bugs_table.ORACLES, {oracle for bug in bugs for oracle in bug.oracles})):
        gaps += ["%s %s" % (what, word) for word in known if word not in present]
    return gaps


def find_unlisted(bugs, page):
    """What of the bugs the table of docs/fuzzing_oracles.md does not say, and what it says of others."""
    listed = re.findall(r"^\| (\d+) +\| (\w+) ", page, flags=re.MULTILINE)
    known = [(str(bug.number), bug.name) for bug in bugs]
    return ["%s %s" % bug for bug in sorted(set(known) ^ set(listed), key=lambda bug: (int(bug[0]), bug[1]))]


def names_of_define(root, directory_filter):
    """Files that tell the compiler to make the bugs: build files that name the define, and sources that define it."""
    found = []
    for directory, directories, names in os.walk(root):
        directories[:] = sorted(d for d in directories if directory_filter(os.path.join(directory, d)))
        for name in sorted(names):
            path = os.path.join(directory, name)
            if not os.path.isfile(path) or os.path.islink(path):
                continue
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read() if BUILD_NAMES.match(name) or name.endswith((".c", ".h", ".cc", ".def")) else ""
            is_build = BUILD_NAMES.match(name) is not None
            if re.search(DEFINE + r"\b" if is_build else r"#\s*define\s+" + DEFINE + r"\b", text):
                found.append(os.path.relpath(path, root))
    return found


def is_in_allocator_or_build(path):
    """Everything but fuzz/, what begins with a dot (.ci excepted) and what Bazel links into the tree."""
    name = os.path.basename(path)
    return name != "fuzz" and (name == ".ci" or not name.startswith((".", "bazel-"))) and not os.path.islink(path)


def has_bugs(path):
    with open(path, "rb") as file:
        return VARIABLE in file.read()


def has_yields(path):
    with open(path, "rb") as file:
        return YIELD.search(file.read()) is not None


class PatchPoints(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.bugs = bugs_table.read_table()
        self.marks = bugs_table.find_marks(os.path.join(bugs_table.ROOT, "allocator"))

    def test_table_and_marks_agree(self):
        self.assertEqual(find_problems(self.bugs, self.marks), [])

    def test_everything_is_covered(self):
        self.assertGreaterEqual(len(self.bugs), BUGS_MIN)
        self.assertEqual(find_gaps(self.bugs), [])
        self.assertGreater(sum(bug.precedent != "" for bug in self.bugs), len(self.bugs) / 2)

    def test_one_mark_in_a_line(self):
        for _, file in sorted(set(self.marks)):
            with open(os.path.join(bugs_table.ROOT, "allocator", file), encoding="utf-8") as source:
                crowded = [line for line in source if len(bugs_table.MARK.findall(line)) > 1]
            self.assertEqual(crowded, [], file)

    def test_only_fuzz_is_built_with_them(self):
        self.assertEqual(names_of_define(bugs_table.ROOT, is_in_allocator_or_build), [])
        self.assertIn("BUILD.bazel", names_of_define(HERE, lambda path: False))

    def test_build_graph(self):
        with open(ARGUMENTS.shipped_query, encoding="utf-8") as shipped, \
                open(ARGUMENTS.seeded_query, encoding="utf-8") as seeded:
            self.assertEqual(shipped.read(), "")
            self.assertEqual(sorted(seeded.read().split()), ["//fuzz/seeded:seeded_bugs", "//fuzz/seeded:variant_box",
                                                             "//fuzz/seeded:variant_direct"])

    def test_libraries(self):
        shipped = [ARGUMENTS.library] + [path for paths in ARGUMENTS.shipped for path in paths.split()]
        self.assertGreaterEqual(len(shipped), 5)
        self.assertEqual([path for path in shipped if has_bugs(path)], [])
        self.assertTrue(all(has_bugs(path) for path in ARGUMENTS.seeded.split()))
        self.assertEqual([path for path in shipped if has_yields(path)], [])
        self.assertTrue(any(has_yields(path) for path in ARGUMENTS.scheduled.split()))

    def test_page_of_oracles(self):
        with open(os.path.join(bugs_table.ROOT, "docs", "fuzzing_oracles.md"), encoding="utf-8") as page:
            self.assertEqual(find_unlisted(self.bugs, page.read()), [],
                             "tools/bazel run //fuzz:oracles_alone makes docs/fuzzing_oracles.md anew")


GOOD = ('SEEDED_BUG(1, a_name, "os/lock.c", "both", "threads", "crash", "", "A sentence,"\n           " of two parts.")\n'
        'SEEDED_BUG(2, second, "api/malloc_api.c", "box", "misuse", "misuse", "x 1", "Another.")\n')
MARKS = [("1", "os/lock.c"), ("2", "api/malloc_api.c")]


class TheChecksCanFail(unittest.TestCase):
    def problems(self, old, new, marks=None):
        self.assertEqual(GOOD.count(old), 1)
        return " ".join(find_problems(bugs_table.parse(GOOD.replace(old, new)), marks or MARKS))

    def test_good(self):
        bugs = bugs_table.parse(GOOD)
        self.assertEqual(find_problems(bugs, MARKS), [])
        self.assertEqual(bugs[0].description, "A sentence, of two parts.")
        self.assertEqual(bugs[1].targets, ["misuse"])

    def test_bad_tables(self):
        self.assertIn("not 1, 2", self.problems("(2,", "(3,"))
        self.assertIn("two bugs have this name", self.problems("second", "a_name"))
        self.assertIn("bug 1: no mark in os/text.c", self.problems("os/lock.c", "os/text.c"))
        self.assertIn("no level, target or oracle", self.problems('"threads"', '"thread"'))
        self.assertIn("no sentence", self.problems("Another.", ""))
        with self.assertRaises(ValueError):
            bugs_table.parse(GOOD.replace('"both", ', ""))

    def test_bad_marks(self):
        self.assertIn("not in the table", " ".join(find_problems(bugs_table.parse(GOOD), MARKS + [("3", "os/lock.c")])))
        self.assertIn("not in the table", " ".join(find_problems(bugs_table.parse(GOOD), MARKS + [("N", "os/lock.c")])))
        self.assertIn("more than one mark", " ".join(find_problems(bugs_table.parse(GOOD), MARKS + MARKS[:1])))
        self.assertIn("no mark", " ".join(find_problems(bugs_table.parse(GOOD), MARKS[:1])))

    def test_page(self):
        bugs, page = bugs_table.parse(GOOD), "| 1   | a_name | x |\n| 2   | second | x |\n"
        self.assertEqual(find_unlisted(bugs, page), [])
        self.assertEqual(find_unlisted(bugs, page.replace("| 2 ", "| 3 ")), ["2 second", "3 second"])
        self.assertEqual(find_unlisted(bugs, page.replace("a_name", "name")), ["1 a_name", "1 name"])

    def test_gaps(self):
        gaps = find_gaps(bugs_table.parse(GOOD))
        self.assertIn("layer base", gaps)
        self.assertNotIn("layer os", gaps)
        self.assertIn("oracle zero", gaps)


def main():
    global ARGUMENTS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True)
    parser.add_argument("--shipped", action="append", required=True)
    parser.add_argument("--seeded", required=True)
    parser.add_argument("--scheduled", required=True)
    parser.add_argument("--shipped-query", required=True)
    parser.add_argument("--seeded-query", required=True)
    ARGUMENTS, rest = parser.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest)


if __name__ == "__main__":
    main()
