# SPDX-License-Identifier: Apache-2.0
"""Runs every misuse at every checks level in a process of its own and compares what becomes of it with expected.txt.

  death_test.py --program LEVEL=PATH ... [--expected FILE] [--update] [--table FILE --sources FILE...]

A section of expected.txt is "[misuse level]", the outcome, and what the process writes to stderr, with addresses, thread
numbers and call stacks replaced. The outcome is "abort" (by SIGABRT), "survived", or "not caught": then the misuse is
undefined at that level, and whatever happens is right but a report. A level may have several programs.
"""

import argparse
import concurrent.futures
import difflib
import os
import re
import resource
import signal
import subprocess
import sys

SECONDS = 20
# Reports are on stderr; a process that dies in another way may say something there too, which is no report.
REPORT = re.compile(r"^(hakmem|hak_check_heap): |AddressSanitizer: ", re.MULTILINE)
HEADING = """\
# SPDX-License-Identifier: Apache-2.0
#
# What becomes of each misuse at each checks level: written by tests/death/death_test.py --update, which says what it means.
"""


class Outcome:
    """How a process ended ("abort", "survived", "signal 11", "exit 3", "timeout"), and what it wrote to stderr."""

    def __init__(self, ended, text):
        self.ended = ended
        self.text = text

    def is_report(self):
        return REPORT.search(self.text) is not None

    def __str__(self):
        return self.ended + "\n" + self.text


def short_stack(match):
    """A stack depends on the compiler and the C library; but the functions that are there to be seen must be."""
    return "    " + " ".join(["STACK"] + re.findall(r" (traced_\w+)$", match.group(), re.MULTILINE)) + "\n"


def normalised(text):
    """What differs from run to run replaced, and of AddressSanitizer's report only the kind kept."""
    found = re.search(r"AddressSanitizer: [-a-zA-Z]+", text)
    if found and not text.startswith("hakmem: "):
        return found.group() + "\n"
    text = re.sub(r"(?m)(^    0x.*\n)+", short_stack, text)
    text = re.sub(r"0x[0-9a-f]+", "PTR", text)
    text = re.sub(r" in thread \d+", " in thread N", text)
    return text if text == "" or text.endswith("\n") else text + "\n"


def environment(options=""):
    sanitizer = "abort_on_error=1:detect_leaks=0:disable_coredump=1:symbolize=0:handle_abort=0"
    profile = {name: value for name, value in os.environ.items() if name == "LLVM_PROFILE_FILE"}
    return {"HAKMEM_OPTIONS": options, "ASAN_OPTIONS": sanitizer, "PATH": "/usr/bin:/bin", **profile}


def run(program, name, options):
    """Runs one misuse."""
    command = [os.path.abspath(program), name]
    try:
        process = subprocess.run(command, env=environment(options), stdin=subprocess.DEVNULL, capture_output=True,
                                 timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Outcome("timeout", "")
    text = normalised(process.stderr.decode(errors="replace"))
    if process.returncode == -signal.SIGABRT:
        return Outcome("abort", text)
    if process.returncode < 0:
        return Outcome(f"signal {-process.returncode}", text)
    if process.returncode == 0 and process.stdout == b"survived\n":
        return Outcome("survived", text)
    return Outcome(f"exit {process.returncode}", text)


def misuses_of(program):
    """A list of (name, kind, options) of what a program can do."""
    lines = subprocess.check_output([os.path.abspath(program), "--list"], env=environment(), text=True).splitlines()
    return sorted(tuple((line + " ").split(" ")[:3]) for line in lines)


class Case:
    """A misuse at a level."""

    def __init__(self, level, program, name, kind, options):
        self.key = f"{name} {level}"
        self.level = level
        self.kind = kind
        self.arguments = (program, name, options)
        self.outcome = None

    def run(self):
        self.outcome = run(*self.arguments)
        return self

    def expectation(self):
        """The section that describes what happened."""
        if self.kind == "control" or self.outcome.is_report():
            return str(self.outcome)
        return "not caught\n"

    def complaint(self, expected):
        """What is wrong with the outcome, by the text of its section; None if nothing is."""
        if expected is None:
            return f"[{self.key}] is not in the table\n"
        if expected == "not caught\n":
            if not self.outcome.is_report() and not self.outcome.ended.startswith("exit "):
                return None
        elif expected == str(self.outcome):
            return None
        lines = difflib.unified_diff(expected.splitlines(True), str(self.outcome).splitlines(True), "expected", "is")
        return f"[{self.key}]\n" + "".join(lines)

    def forbidden(self):
        """What no table can allow."""
        if self.kind == "control" and str(self.outcome) != "survived\n":
            return f"[{self.key}] is not misuse, but: {self.outcome}"
        if self.kind == "misuse" and self.level in ("box", "asan") and not self.outcome.is_report():
            return f"[{self.key}] must be caught, but: {self.outcome}"
        if self.outcome.ended.startswith("exit ") and not self.outcome.is_report():
            return f"[{self.key}] did not do what it is for: {self.outcome}"
        return None


def cases_of(programs):
    """programs: pairs of a level and a path."""
    return [Case(level, program, *misuse) for level, program in programs for misuse in misuses_of(program)]


def run_cases(cases):
    """Runs them all, several at a time."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with concurrent.futures.ThreadPoolExecutor(max_workers=(os.cpu_count() or 1) + 2) as pool:
        return list(pool.map(Case.run, cases))


def read_table(path):
    """A dictionary from "misuse level" to the text of the section."""
    table = {}
    section = None
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("["):
                section = line.strip()[1:-1]
                table[section] = ""
            elif section is not None and line != "\n":
                table[section] += line
    return table


def write_table(path, table):
    order = {"direct": 0, "checked": 1, "box": 2, "asan": 3}
    keys = sorted(table, key=lambda key: (key.split()[0], order[key.split()[1]]))
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEADING + "".join(f"\n[{key}]\n{table[key]}" for key in keys))


def check_itself(cases, table):
    """A wrong text, a missing section and a report that is not expected must be noticed. Returns complaints."""
    complaints = []
    reported = [case for case in cases if case.outcome.ended == "abort" and case.outcome.is_report()]
    if not reported:
        complaints.append("no misuse is reported at all\n")
    for case in reported:
        right = table[case.key]
        for wrong in (right.replace(": ", ":  ", 1), right + "more\n", "survived\n", "not caught\n", None):
            if case.complaint(wrong) is None:
                complaints.append(f"[{case.key}] would also be accepted where {wrong!r} is expected\n")
    return complaints


def update(cases, path):
    table = read_table(path) if os.path.exists(path) else {}
    levels = {case.level for case in cases}
    table = {key: text for key, text in table.items() if key.split()[1] not in levels}
    table.update((case.key, case.expectation()) for case in cases)
    write_table(path, table)


def compare(cases, path):
    """Returns complaints."""
    table = read_table(path)
    keys = {case.key for case in cases}
    levels = {case.level for case in cases}
    complaints = [case.complaint(table.get(case.key)) for case in cases]
    complaints += [f"[{key}] is in the table, but nothing does it\n"
                   for key in table if key.split()[1] in levels and key not in keys]
    return [complaint for complaint in complaints if complaint] or check_itself(cases, table)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", action="append", required=True, metavar="LEVEL=PATH")
    parser.add_argument("--expected", default=os.path.join(os.path.dirname(__file__), "expected.txt"))
    parser.add_argument("--update", action="store_true", help="rewrite the table")
    arguments = parser.parse_args()
    cases = run_cases(cases_of([program.split("=", 1) for program in arguments.program]))
    complaints = [complaint for complaint in map(Case.forbidden, cases) if complaint]
    if arguments.update:
        update(cases, arguments.expected)
    else:
        complaints += compare(cases, arguments.expected)
    for complaint in complaints:
        print(complaint)
    caught = sum(case.outcome.is_report() for case in cases)
    print(f"{len(cases)} cases, {caught} reported, {len(complaints)} wrong")
    if complaints and not arguments.update:
        print("If the change is meant: tests/death/death_test.py --update with the same programs (docs/checks.md).")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
