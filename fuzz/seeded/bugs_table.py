#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The seeded bugs of bugs.def, as Python reads them, and their marks in allocator/.

    fuzz/seeded/bugs_table.py          prints the table
    fuzz/seeded/bugs_table.py WORD ... only the bugs in which every word occurs
"""

import collections
import os
import re
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TABLE = os.path.join(HERE, "bugs.def")

LEVELS = ["both", "direct", "box"]
TARGETS = ["differential", "misuse", "threads", "faults", "large", "options", "size_class"]
# Those of fuzz/model/oracle.h; and a crash or a hang.
ORACLES = ["overlap", "alignment", "header", "usable", "content", "zero", "error", "statistics", "conservation", "drain",
           "memory_calls", "returned_memory", "locks", "differential", "trace", "check_heap", "misuse", "unchanged",
           "crash"]

Bug = collections.namedtuple("Bug", "number name file levels targets oracles precedent description")

STRING = r'((?:"[^"]*"\s*)+)'
ENTRY = re.compile(r"^SEEDED_BUG\(\s*(\d+),\s*(\w+),\s*" + r",\s*".join([STRING] * 6) + r"\)", re.MULTILINE)
MARK = re.compile(r"\bHAK_SEED_BUG(?:_IF)?\((\w+)")


def without_comments(text):
    return re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)


def parse(text):
    """The bugs of a table. Raises ValueError where an entry is not understood."""
    text = without_comments(text)
    bugs = []
    for match in ENTRY.finditer(text):
        number, name, *strings = match.groups()
        file, levels, targets, oracles, precedent, description = ("".join(re.findall(r'"([^"]*)"', s)) for s in strings)
        bugs.append(Bug(int(number), name, file, levels, targets.split(), oracles.split(), precedent, description))
    rest = ENTRY.sub("", text).strip()
    if rest:
        raise ValueError("not an entry: " + rest[:100])
    return bugs


def read_table(path=TABLE):
    with open(path, encoding="utf-8") as table:
        return parse(table.read())


def layer_of(bug):
    return bug.file.split("/")[0]


def find_marks(allocator):
    """(number as it is written, file below allocator) of every mark, but for the definition of the marks."""
    marks = []
    for directory, _, names in sorted(os.walk(allocator)):
        for name in sorted(names):
            path = os.path.join(directory, name)
            file = os.path.relpath(path, allocator)
            if name.endswith((".c", ".h", ".def")) and file != "base/seeded_bug.h":
                with open(path, encoding="utf-8") as source:
                    marks += [(number, file) for number in MARK.findall(source.read())]
    return marks


def main():
    for bug in read_table():
        line = "%3d %-34s %-28s %-6s %s | %s | %s | %s" % (
            bug.number, bug.name, bug.file, bug.levels, " ".join(bug.targets), " ".join(bug.oracles), bug.precedent,
            bug.description)
        if all(word in line for word in sys.argv[1:]):
            print(line)


if __name__ == "__main__":
    main()
