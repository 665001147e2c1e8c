#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the files for OSS-Fuzz and ClusterFuzzLite as their own checks do, and that programs.txt is what Bazel would build.

    project_test.py PROGRAMS_OF_BAZEL
"""

import glob
import os
import re
import sys
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LITE = os.path.join(ROOT, ".clusterfuzzlite")
PROGRAMS_OF_BAZEL = None

# As infra/presubmit.py of OSS-Fuzz has them.
KEYS = set("""architectures auto_ccs base_os_version blackbox builds_per_day coverage_extra_args disabled disable_remediation
disable_remediation_pre_review file_github_issue fuzzing_engines help_url homepage indexer labels language main_repo
primary_contact run_tests sanitizers selective_unpack vendor_ccs view_restrictions""".split())
WORDS = {
    "architectures": {"aarch64", "i386", "x86_64"},
    "fuzzing_engines": {"afl", "centipede", "honggfuzz", "libfuzzer"},
    "language": {"c", "c++", "go", "javascript", "jvm", "python", "ruby", "rust", "swift"},
    "sanitizers": {"address", "coverage", "hwaddress", "introspector", "memory", "none", "thread", "undefined"},
}
REQUIRED = ("homepage", "language", "main_repo", "primary_contact")
LICENCE = "http://www.apache.org/licenses/LICENSE-2.0"
# Of the actions of ClusterFuzzLite.
MODES = {"batch", "code-change", "coverage", "prune"}
LITE_SANITIZERS = {"address", "coverage", "memory", "undefined"}
ACTIONS = {"google/clusterfuzzlite/actions/%s_fuzzers@v1" % word for word in ("build", "run")}


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def parse(text):
    """Of YAML what a project.yaml needs: a word or a list of words for each key."""
    found, key = {}, None
    for number, line in enumerate(text.split("\n"), 1):
        line = line.split(" #")[0].rstrip()
        if not line or line.startswith("#"):
            continue
        item = re.fullmatch(r"  - ([\w./:@+-]+)", line)
        pair = re.fullmatch(r"(\w+):(?: \"?([\w./:@+-]+)\"?)?", line)
        if item and isinstance(found.get(key), list):
            found[key].append(item.group(1))
        elif pair and pair.group(1) not in found:
            key = pair.group(1)
            found[key] = pair.group(2) if pair.group(2) else []
        else:
            raise ValueError("line %d: %s" % (number, line))
    return found


def problems_of_project(text):
    try:
        project = parse(text)
    except ValueError as problem:
        return [str(problem)]
    problems = ["%s is no key" % key for key in project if key not in KEYS]
    problems += ["there is no %s" % key for key in REQUIRED if not project.get(key)]
    for key, words in WORDS.items():
        values = project.get(key, [])
        for value in values if isinstance(values, list) else [values]:
            if value not in words:
                problems.append("%s: %s is not known" % (key, value))
    if "libfuzzer" not in project.get("fuzzing_engines", ["libfuzzer"]):
        problems.append("libfuzzer is needed")
    contact = project.get("primary_contact", "")
    if "@" not in contact or "." not in contact:
        problems.append("primary_contact: %s is no address" % contact)
    return problems


class Project(unittest.TestCase):
    def test_project(self):
        self.assertEqual(problems_of_project(read(HERE, "project.yaml")), [])
        project = parse(read(HERE, "project.yaml"))
        self.assertEqual(parse(read(LITE, "project.yaml")), {"language": project["language"]})
        # One place for the address; Dockerfiles cannot read it.
        self.assertIn("git clone --depth 1 %s $SRC/hakmem\n" % project["main_repo"], read(HERE, "Dockerfile"))

    def test_what_is_wrong_is_found(self):
        text = read(HERE, "project.yaml")
        for old, new, problem in (
                ("language: c\n", "language: cobol\n", "language: cobol"),
                ("  - memory", "  - memroy", "sanitizers: memroy"),
                ("  - libfuzzer\n", "", "libfuzzer is needed"),
                ("sanitizers:", "sanitisers:", "sanitisers is no key"),
                ("main_repo:", "#", "there is no main_repo"),
                ("primary_contact: \"maintainers@", "primary_contact: \"maintainers-", "no address"),
                ("language: c\n", "language: [c]\n", "line "),
                ("language: c\n", "language: c\nlanguage: c\n", "line ")):
            self.assertEqual(text.count(old), 1)
            self.assertIn(problem, "\n".join(problems_of_project(text.replace(old, new))))

    def test_files(self):
        for name in ("Dockerfile", "build.sh", "project.yaml"):
            self.assertIn(LICENCE, read(HERE, name), name)
        for directory in (HERE, LITE):
            self.assertRegex(read(directory, "Dockerfile"), r"(?m)^FROM gcr\.io/oss-fuzz-base/base-builder(:v1)?$")
            self.assertTrue(os.access(os.path.join(directory, "build.sh"), os.X_OK))
            self.assertNotIn("-lFuzzingEngine", read(directory, "build.sh"))
        self.assertIn("fuzz/oss-fuzz/build.sh", read(LITE, "build.sh"))

    def test_workflows(self):
        modes, uses = set(), set()
        for path in glob.glob(os.path.join(ROOT, ".github", "workflows", "cflite_*.yml")):
            text = read(path)
            modes |= set(re.findall(r"^ +mode: (\S+)$", text, re.M))
            uses |= set(re.findall(r"uses: (\S+)$", text, re.M))
            sanitizers = set(re.findall(r"sanitizer: (\w+)$", text, re.M))
            for words in re.findall(r"sanitizer: \[(.*)\]$", text, re.M):
                sanitizers |= set(words.split(", "))
            self.assertTrue(sanitizers and sanitizers <= LITE_SANITIZERS, path)
        # Pruning is needed where there is batch fuzzing.
        self.assertEqual(modes, MODES)
        self.assertEqual(uses, ACTIONS)


class Programs(unittest.TestCase):
    def test_as_bazel(self):
        if read(HERE, "programs.txt") != read(PROGRAMS_OF_BAZEL):
            self.fail("fuzz/oss-fuzz/programs.txt is not what the BUILD files say. To make it anew:\n"
                      "    tools/bazel build //fuzz/oss-fuzz:programs_of_bazel\n"
                      "    cat bazel-bin/fuzz/oss-fuzz/programs_of_bazel.txt > fuzz/oss-fuzz/programs.txt")

    def test_all_is_there(self):
        lines = [line.split() for line in read(HERE, "programs.txt").split("\n") if line and line[0] != "#"]
        compiled = {line[1] for line in lines if line[0] == "compile"}
        linked = {word for line in lines if line[0] == "link" for word in line[2:] if word.endswith(".o")}
        self.assertEqual(compiled, linked)
        self.assertEqual(len(compiled), sum(line[0] == "compile" for line in lines))
        names = sorted(line[1] for line in lines if line[0] == "link")
        self.assertEqual(names, sorted(os.path.basename(path)[:-2] for path in glob.glob(ROOT + "/fuzz/targets/*.c")))
        for kind in ("corpus", "options"):
            self.assertEqual(sorted(line[1] for line in lines if line[0] == kind), names)
        for line in lines:
            paths = {"compile": line[2:3], "corpus": line[2:3], "link": []}.get(line[0], line[2:])
            for path in paths:
                self.assertTrue(os.path.exists(os.path.join(ROOT, path)), path)


if __name__ == "__main__":
    PROGRAMS_OF_BAZEL = sys.argv.pop(1)
    unittest.main(verbosity=2)
