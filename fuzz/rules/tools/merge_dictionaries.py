#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks dictionaries for fuzzing engines and writes one with the entries of all.

A line is empty, a comment that begins with #, or an entry, "value" or name="value", where the value is of printable ASCII
with \\\\, \\" and \\xAB for what is not. That is what both libFuzzer and AFL++ take.

    merge_dictionaries.py --output=FILE DICTIONARY ...
"""

import argparse
import re
import sys

ENTRY = re.compile(r'(?:[A-Za-z0-9_]+\s*=\s*)?"((?:[ !#-\[\]-~]|\\\\|\\"|\\x[0-9A-Fa-f]{2})+)"')
# AFL++'s longest, in bytes.
MAX_VALUE = 128
ESCAPE = re.compile(r"\\(?:x..|.)")


def find_problem(line):
    """What is wrong with an entry, or None."""
    entry = ENTRY.fullmatch(line)
    if entry is None:
        return "not name=\"value\" or \"value\" with \\\\, \\\" and \\xAB as the only escapes"
    if len(ESCAPE.sub(".", entry.group(1))) > MAX_VALUE:
        return "a value of more than %d bytes" % MAX_VALUE
    return None


def merge(paths):
    """Returns the lines of the merged dictionary and the problems."""
    lines, problems, values = [], [], set()
    for path in paths:
        # Bytes that are no characters make a problem of their line only.
        with open(path, encoding="ascii", errors="replace") as source:
            for number, line in enumerate(source, 1):
                line = line.strip()
                if not line or line.startswith("#"):
                    continue
                problem = find_problem(line)
                if problem:
                    problems.append("%s:%d: %s: %s" % (path, number, problem, line))
                    continue
                value = ENTRY.fullmatch(line).group(1)
                if value not in values:
                    values.add(value)
                    lines.append(line)
    return lines, problems


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", required=True)
    parser.add_argument("dictionaries", nargs="+")
    options = parser.parse_args(arguments)
    lines, problems = merge(options.dictionaries)
    if problems:
        sys.exit("\n".join(problems))
    with open(options.output, "w", encoding="ascii") as output:
        output.write("".join(line + "\n" for line in lines))


if __name__ == "__main__":
    main(sys.argv[1:])
