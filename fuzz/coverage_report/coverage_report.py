# SPDX-License-Identifier: Apache-2.0
"""What the programs of a run covered, added up by file.

llvm-cov knows a function of a file once, whatever was compiled from it; but hakmem's sources are compiled at three checks
levels, in two geometries, together and one by one. So each program is asked for by itself, and what they say of a file is
added up here: a line, a branch or a function counts as covered if it is in any of them.

Calls llvm-cov; reads its JSON export, and from its annotated sources which conditions the compiler decided
(https://llvm.org/docs/CommandGuide/llvm-cov.html).
"""

import json
import re
import subprocess

KINDS = ("lines", "branches", "functions")


class FileCoverage:
    """Of one source file: how often each line, each way of each branch, and each function was executed."""

    def __init__(self):
        self.lines = {}
        # By the place of the condition: [times true, times false].
        self.branches = {}
        # Places of conditions that are constants in some program.
        self.decided = set()
        # By the place of the body.
        self.functions = {}
        # Of a function that a program has no use for, all lines, also those without code; by the place of its body. They
        # count only if no other program knows better.
        self.unused = {}
        self.emitted = set()

    def add(self, other):
        for line, count in other.lines.items():
            self.lines[line] = self.lines.get(line, 0) + count
        for place, counts in other.branches.items():
            mine = self.branches.setdefault(place, [0, 0])
            mine[0] += counts[0]
            mine[1] += counts[1]
        self.decided |= other.decided
        for place, count in other.functions.items():
            self.functions[place] = self.functions.get(place, 0) + count
        for place, lines in other.unused.items():
            self.unused.setdefault(place, set()).update(lines)
        self.emitted |= other.emitted

    def items(self, kind):
        """A dictionary from each line, way of a branch or function to its count."""
        if kind == "lines":
            lines = dict(self.lines)
            for place, unused in self.unused.items():
                if place not in self.emitted:
                    lines.update((line, 0) for line in unused if line not in lines)
            return lines
        if kind == "functions":
            return self.functions
        return {(place, way): counts[way] for place, counts in self.branches.items() for way in (0, 1)
                if any(counts) or place[:2] not in self.decided}


def add_files(to, files):
    for name, coverage in files.items():
        to.setdefault(name, FileCoverage()).add(coverage)


# ---- What llvm-cov says of one program ------------------------------------------------------------------------------

class Segment:
    """From its place up to the next one's the text has this count."""

    def __init__(self, numbers):
        self.line, self.column, self.count, self.has_count, self.begins_region, self.is_gap = numbers

    def begins_code(self):
        return self.has_count and self.begins_region and not self.is_gap


def count_lines(segments):
    """The lines that have code, as llvm-cov counts them: the greatest of what begins in a line and what goes on there."""
    lines = {}
    by_line = {}
    for segment in segments:
        by_line.setdefault(segment.line, []).append(segment)
    wrapped = None
    for line in range(segments[0].line, segments[-1].line + 1) if segments else ():
        here = by_line.get(line, [])
        begins = [segment for segment in here if segment.begins_code()]
        skipped = bool(here) and here[0].begins_region and not here[0].has_count
        mapped = not skipped and (bool(begins) or (wrapped is not None and wrapped.has_count))
        mapped = mapped or any(segment.begins_region and segment.has_count for segment in here)
        if mapped:
            counts = [segment.count for segment in begins]
            lines[line] = max(counts + ([wrapped.count] if wrapped is not None else [0]))
        if here:
            wrapped = here[-1]
    return lines


def read_file_export(entry):
    coverage = FileCoverage()
    segments = [Segment(numbers) for numbers in entry["segments"]]
    coverage.lines = count_lines(segments)
    for branch in entry["branches"]:
        place, counts = tuple(branch[:4]), branch[4:6]
        mine = coverage.branches.setdefault(place, [0, 0])
        mine[0] += counts[0]
        mine[1] += counts[1]
    return coverage


def read_function(coverage, function):
    region = function["regions"][0]
    place = tuple(region[:2])
    coverage.functions[place] = coverage.functions.get(place, 0) + function["count"]
    # What is not emitted has one region, of count 0; so have short functions that were not called.
    if len(function["regions"]) > 1 or function["count"] > 0:
        coverage.emitted.add(place)
        return
    unused = [line for line in range(region[0], region[2] + 1) if coverage.lines.get(line) == 0]
    coverage.unused.setdefault(place, set()).update(unused)
    for line in unused:
        del coverage.lines[line]


def read_export(export, prefix):
    """A dictionary from file to FileCoverage, of the files below a prefix."""
    files = {}
    for data in export["data"]:
        for entry in data["files"]:
            name = shorten(entry["filename"], prefix)
            if name is not None:
                files.setdefault(name, FileCoverage()).add(read_file_export(entry))
        for function in data.get("functions", ()):
            name = shorten(function["filenames"][0], prefix)
            if name in files:
                read_function(files[name], function)
    return files


def read_decided(text, prefix, files):
    """Adds to files what llvm-cov show says of conditions that are constants."""
    coverage = None
    for line in text.split("\n"):
        heading = re.fullmatch(r"(\S+):", line)
        if heading:
            coverage = files.get(shorten(heading.group(1), prefix))
        found = re.search(r"Branch \((\d+):(\d+)\): \[Folded", line)
        if found and coverage is not None:
            coverage.decided.add((int(found.group(1)), int(found.group(2))))


def shorten(path, prefix):
    """The path from the prefix on, which begins a path in the repository; None if it has none."""
    if path.startswith(prefix):
        return path
    at = path.find("/" + prefix)
    return path[at + 1:] if at >= 0 else None


def run(command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr.decode()}")
    return result.stdout.decode()


def read_program(llvm_cov, program, profile, prefix):
    """What read_export gives, of one program."""
    options = ["-instr-profile=" + profile, program]
    files = read_export(json.loads(run([llvm_cov, "export", "-skip-expansions", *options])), prefix)
    shown = run([llvm_cov, "show", "-show-branches=count", "-show-instantiations=false", *options])
    read_decided(shown, prefix, files)
    return files


# ---- Tables ---------------------------------------------------------------------------------------------------------

def figures(groups, name):
    """Of one file: for each kind, how many there are in any group, and how many of them each group and all cover."""
    everything = FileCoverage()
    for files in groups.values():
        if name in files:
            everything.add(files[name])
    result = {}
    for kind in KINDS:
        all_items = everything.items(kind)
        covered = []
        for files in groups.values():
            items = files[name].items(kind) if name in files else {}
            covered.append(sum(1 for item in all_items if items.get(item, 0) > 0))
        covered.append(sum(1 for count in all_items.values() if count > 0))
        result[kind] = (len(all_items), covered)
    return result


def add_figures(rows):
    """The sum of what figures() gave for several files."""
    return {kind: (sum(row[kind][0] for row in rows),
                   [sum(column) for column in zip(*(row[kind][1] for row in rows))]) for kind in KINDS}


def percent(covered, total):
    """Rounded down: 100.0 is all of it."""
    return f"{1000 * covered // total / 10:5.1f}" if total else "    -"


def write_row(name, row, width):
    cells = [name.ljust(width)]
    for kind in KINDS:
        total, covered = row[kind]
        cells.append(f"{total:5d} " + " ".join(percent(one, total) for one in covered))
    return "  ".join(cells).rstrip() + "\n"


def summary(groups):
    """The table of all layers and files. groups: from a name to what read_export gave."""
    names = sorted({name for files in groups.values() for name in files})
    by_file = {name: figures(groups, name) for name in names}
    layers = {}
    for name in names:
        layers.setdefault(name.rsplit("/", 1)[0], []).append(name)
    width = max([len(name) for name in names] + [len("file")])
    columns = [group[:5].rjust(5) for group in list(groups) + ["both" if len(groups) == 2 else "all"]]
    heading = "  ".join(["".ljust(width)] + [f"{kind}".ljust(6 * (len(columns) + 1) - 1) for kind in KINDS])
    text = heading.rstrip() + "\n"
    text += "  ".join(["file".ljust(width)] + ["total " + " ".join(columns)] * len(KINDS)) + "\n"
    for layer, files in layers.items():
        text += "\n" + "".join(write_row(name, by_file[name], width) for name in files)
        text += write_row(layer, add_figures([by_file[name] for name in files]), width)
    if names:
        text += "\n" + write_row("all", add_figures(list(by_file.values())), width)
    return text


def gaps(groups, read_line):
    """What no group covers, one a line: file:line: what: text. read_line(file, line) gives the text."""
    text = ""
    for name in sorted({name for files in groups.values() for name in files}):
        everything = FileCoverage()
        for files in groups.values():
            if name in files:
                everything.add(files[name])
        lines = everything.items("lines")
        found = [(line, 0, "line") for line, count in lines.items() if count == 0]
        covered = {line for line, count in lines.items() if count > 0}
        for (place, way), count in everything.items("branches").items():
            # Where the line was never executed, that says it all.
            if count == 0 and place[0] in covered:
                found.append((place[0], place[1], f"column {place[1]} never " + ("false" if way else "true")))
        for line, _, what in sorted(found):
            text += f"{name}:{line}: {what}: {read_line(name, line).strip()}\n"
    return text
