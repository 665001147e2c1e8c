#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The work of tools/format: one layout for all source files.

C and C++ files are laid out by clang-format 19 as .clang-format says. Every source file has an SPDX line at the top,
no tab, no space at the end of a line, one newline at its end, and no line longer than 128 characters: clang-format
breaks code at 120, comments and other languages get a few more (Markdown: any length). Spaces and newlines are put
right by a rewrite; a missing SPDX line or a long comment is for a person to mend.

Looks at every file of the directory by its name: links, directories that begin with a dot (.ci excepted) and what is not
a source file are left out.

    tools/format [--check] [--root DIRECTORY] [FILE ...]
"""

import argparse
import os
import re
import shutil
import subprocess
import sys

CLANG_FORMAT = "clang-format-19"
LINE_WIDTH = 128

C_SUFFIXES = (".c", ".h", ".cc", ".def", ".inc")
TEXT_SUFFIXES = C_SUFFIXES + (".bzl", ".bazel", ".cfg", ".md", ".py", ".S", ".sh", ".toml", ".yaml", ".yml")
TEXT_NAMES = ("BUILD", "WORKSPACE", ".bazelignore", ".bazelrc", ".clang-format", ".clang-tidy", ".editorconfig",
              ".gitignore")
DOT_DIRECTORIES = (".ci", ".github")
# A script may have no suffix; then its first line tells.
SCRIPT = re.compile(rb"#!.*\b(sh|bash|python3)\b")

SPDX = "SPDX-License-Identifier: Apache-2.0"
# A shebang, a Markdown comment or the tag of a configuration file may stand before it.
SPDX_WITHIN_LINES = 3
# Formats without comments, and pages for readers: they carry no SPDX line.
WITHOUT_SPDX = (".md", ".bazelignore")


def is_source(path):
    name = os.path.basename(path)
    if name.endswith(TEXT_SUFFIXES) or name in TEXT_NAMES:
        return True
    if "." in name:
        return False
    with open(path, "rb") as start:
        return SCRIPT.match(start.readline(200)) is not None


def find_sources(root):
    found = []
    for directory, directories, names in os.walk(root):
        directories[:] = sorted(d for d in directories if not d.startswith(".") or d in DOT_DIRECTORIES)
        for name in sorted(names):
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path) and is_source(path):
                found.append(path)
    return found


def tidy_text(text):
    """What a rewrite puts right in every kind of file."""
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip("\n") + "\n" if text.strip() else text


def check_text(name, text):
    problems = []
    if text != tidy_text(text):
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip():
                problems.append("%s:%d: space at the end of the line" % (name, number))
        if text.rstrip("\n") + "\n" != text:
            problems.append("%s: does not end with one newline" % name)
    if "\r" in text:
        problems.append("%s: has carriage returns" % name)
    for number, line in enumerate(text.splitlines(), 1):
        if "\t" in line:
            problems.append("%s:%d: tab" % (name, number))
        if len(line) > LINE_WIDTH and not name.endswith(".md"):
            problems.append("%s:%d: %d characters, more than %d" % (name, number, len(line), LINE_WIDTH))
    if text and not name.endswith(WITHOUT_SPDX):
        if not any(SPDX in line for line in text.splitlines()[:SPDX_WITHIN_LINES]):
            problems.append("%s: no '%s' at the top" % (name, SPDX))
    return problems


def run_clang_format(options, paths):
    return subprocess.run([CLANG_FORMAT, "--style=file"] + options + paths, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True, check=False)


def misplaced_lines(paths):
    """The first line that clang-format would change, by file."""
    if not paths:
        return {}
    run = run_clang_format(["--dry-run", "--Werror"], paths)
    lines = {}
    for path, line in re.findall(r"^(.*?):(\d+):\d+: error: code should be clang-formatted", run.stderr, re.MULTILINE):
        lines.setdefault(os.path.abspath(path), int(line))
    if run.returncode != 0 and not lines:
        sys.exit("format: %s: %s" % (CLANG_FORMAT, run.stderr.strip()))
    return lines


def process(path, root, check, misplaced):
    """Returns the problems of one file; with check unset, after it has been rewritten."""
    name = os.path.relpath(path, root)
    with open(path, encoding="utf-8", newline="") as source:
        text = source.read()
    problems, wanted = [], text
    if check and misplaced:
        problems.append("%s:%d: not laid out as tools/format would" % (name, misplaced))
    if not check:
        wanted = tidy_text(run_clang_format([], [path]).stdout if misplaced else text)
    if wanted != text:
        with open(path, "w", encoding="utf-8", newline="") as source:
            source.write(wanted)
        print("rewritten: %s" % name)
    return problems + check_text(name, wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="list what is wrong, change nothing")
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.realpath(__file__))),
                        help="look at this directory (default: this program's repository)")
    parser.add_argument("files", nargs="*", help="only these files")
    arguments = parser.parse_args()
    if shutil.which(CLANG_FORMAT) is None:
        sys.exit("format: %s is missing: apt-get install %s" % (CLANG_FORMAT, CLANG_FORMAT))
    root = os.path.abspath(arguments.root)
    files = [os.path.abspath(name) for name in arguments.files] or find_sources(root)
    if not files:
        sys.exit("format: no source files in %s" % root)
    misplaced = misplaced_lines([path for path in files if path.endswith(C_SUFFIXES)])
    problems = []
    for path in files:
        problems += process(path, root, arguments.check, misplaced.get(path))
    for problem in problems:
        print(problem)
    print("format: %d files, %d problems" % (len(files), len(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
