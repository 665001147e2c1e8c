#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the table of options in docs/tuning.md from allocator/base/options.def; --check only compares.

usage: options_table.py [--check] OPTIONS_DEF TUNING_MD
"""

import re
import sys

BEGIN = "<!-- options: begin -->\n"
END = "<!-- options: end -->\n"
OPTION = re.compile(
    r'^HAK_OPTION\(\s*(\w+),\s*(\d+),\s*(\d+),\s*(\d+),\s*((?:"[^"]*"\s*)+)\)', re.MULTILINE)


def table(definitions):
    """The Markdown table for the text of options.def."""
    rows = ["| option | default | range | meaning |\n", "|---|---|---|---|\n"]
    for name, default, least, greatest, meaning in OPTION.findall(definitions):
        words = "".join(re.findall(r'"([^"]*)"', meaning))
        rows.append(f"| `{name}` | {default} | {least} to {greatest} | {words} |\n")
    if len(rows) - 2 != len(re.findall(r"^HAK_OPTION", definitions, re.MULTILINE)):
        sys.exit("options_table.py: an entry of options.def does not have the form HAK_OPTION(name, number, number, "
                 "number, \"meaning\")")
    return "".join(rows)


def main(arguments):
    check = arguments[:1] == ["--check"]
    if check:
        arguments = arguments[1:]
    if len(arguments) != 2:
        sys.exit(__doc__.strip())
    definitions_path, document_path = arguments
    with open(definitions_path, encoding="utf-8") as file:
        wanted = table(file.read())
    with open(document_path, encoding="utf-8") as file:
        document = file.read()
    if BEGIN not in document or END not in document:
        sys.exit(f"options_table.py: {document_path} has no lines {BEGIN.strip()} and {END.strip()}")
    before, rest = document.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    new = before + BEGIN + wanted + END + after
    if check:
        if new != document:
            sys.exit(f"{document_path}: the table of options is not that of {definitions_path}; run\n"
                     f"  tools/options_table.py {definitions_path} {document_path}")
        return
    with open(document_path, "w", encoding="utf-8") as file:
        file.write(new)


if __name__ == "__main__":
    main(sys.argv[1:])
