# SPDX-License-Identifier: Apache-2.0
"""Writes the table in docs/checks.md from expected.txt, or with --check looks whether it is the same.

  checks_table.py [--check] [--document docs/checks.md]

always: each time, at the place that the title says or at the call itself. mostly: unless chance has it otherwise (below).
"""

import argparse
import glob
import os
import re
import sys

sys.dont_write_bytecode = True
import death_test  # pylint: disable=wrong-import-position

HERE = os.path.dirname(os.path.abspath(__file__))
BEGIN = "<!-- checks: begin -->\n"
END = "<!-- checks: end -->\n"
LEVELS = ("direct", "checked", "box", "asan")
DECLARATION = re.compile(r'^(MISUSE|MISUSE_WITH|LIMIT)\((\w+),\s*"([^"]*)"', re.MULTILINE)
# The beginnings of names, and what the rows have in common. In the order of the table.
GROUPS = (
    ("double_free", "Double free"),
    ("delete", "operator delete"),
    ("pointer", "Pointers that are no block's"),
    ("realloc", "realloc"),
    ("usable_size", "malloc_usable_size"),
    ("free_sized", "free_sized"),
    ("free_aligned_sized", "free_aligned_sized"),
    ("match", "Functions that do not belong together"),
    ("header", "The header byte, in front of each block"),
    ("underflow", "Writing before a block"),
    ("overflow", "Writing behind a block"),
    ("write", "Writing to free memory"),
    ("check_heap", "hak_check_heap"),
    ("leaks", "Leaks"),
)
# Reports that the level gives only as long as nobody else got the block, or as far as single bytes show it, or when the
# memory comes to be used again.
MOSTLY = {
    "direct": re.compile("overwritten"),
    "checked": re.compile(r"overwritten|\(double free\)"),
    "box": re.compile(r"^hakmem: (.*free memory was written to|malloc\(|.*overwritten.*\n  block .*, free)", re.MULTILINE),
    "asan": re.compile("(?!)"),
}


def titles():
    """Pairs of the name and the title of every misuse."""
    paths = glob.glob(os.path.join(HERE, "misuses", "*.c")) + glob.glob(os.path.join(HERE, "operators", "*.cc"))
    found = []
    for path in sorted(paths):
        with open(path, encoding="utf-8") as file:
            found += [(name, title) for _, name, title in DECLARATION.findall(file.read())]
    return found


def word(table, name, level):
    """What the table says of a misuse at a level."""
    text = table.get(f"{name} {level}")
    if text is None:
        return "–"
    if not death_test.REPORT.search(text):
        return "not caught"
    return "mostly" if MOSTLY[level].search(text) else "always"


def group_of(name):
    """The longest beginning that fits."""
    fitting = [beginning for beginning, _ in GROUPS if name.startswith(beginning)]
    if not fitting:
        sys.exit(f"checks_table.py: no group for {name}")
    return max(fitting, key=len)


def lines(table):
    yield "| misuse | " + " | ".join(("direct", "checked", "Box", "asan")) + " |\n"
    yield "|---|---|---|---|---|\n"
    misuses = titles()
    for beginning, heading in GROUPS:
        rows = [(name, title) for name, title in misuses if group_of(name) == beginning]
        if rows:
            yield f"| **{heading}** | | | | |\n"
        for name, title in rows:
            yield f"| {title} | " + " | ".join(word(table, name, level) for level in LEVELS) + " |\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--document", default=os.path.join(HERE, "..", "..", "docs", "checks.md"))
    arguments = parser.parse_args()
    with open(arguments.document, encoding="utf-8") as file:
        text = file.read()
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{arguments.document} has no place for the table")
    new = "".join(lines(death_test.read_table(os.path.join(HERE, "expected.txt"))))
    if new == old:
        return 0
    if arguments.check:
        print(f"The table in {arguments.document} is not that of expected.txt: run tests/death/checks_table.py")
        return 1
    with open(arguments.document, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + new + END + after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
