# SPDX-License-Identifier: Apache-2.0
"""Reads a status page as a parser or a browser gives it, and holds each figure against the status it was made from.

What is expected is worked out from the status anew, and what a page shows is read back into a number: a rounded one must be
within its last digit.
"""

import datetime
import html.parser
import re

# A unit, and how many of the last one it is.
UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "file": 1, "files": 1,
         "s": 1, "min": 60, "h": 3600, "d": 86400, "%": 1}
VOID = {"meta", "link", "br", "img", "line", "polyline"}


class _Parser(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.curves, self.figures = [], [], {}
        self.text, self.style, self.title = "", "", ""
        # The open elements: (tag, key or None).
        self.open = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "polyline":
            self.curves.append(attributes["points"])
        key = attributes.get("data-key")
        if key is not None:
            if key in self.figures:
                raise ValueError(f"{key} twice")
            self.figures[key] = ""
        if tag not in VOID:
            self.open.append((tag, key))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        opened, _ = self.open.pop()
        if opened != tag:
            raise ValueError(f"</{tag}> ends <{opened}>")

    def handle_data(self, data):
        tag = self.open[-1][0] if self.open else ""
        if tag == "style":
            self.style += data
        elif tag == "title":
            self.title += data
        elif tag != "script":
            self.text += data
        for _, key in self.open:
            if key is not None:
                self.figures[key] += data


def read(text):
    """The tags in order, the figures by their key, the text, the style, the title."""
    parser = _Parser()
    parser.feed(text)
    parser.close()
    if parser.open:
        raise ValueError(f"not closed: {parser.open}")
    return parser


# ---- What a page should show ----------------------------------------------------------------------------------------

def _of_target(target):
    key = f"targets/{target['name']}/"
    expected = {key + name: target[name] for name in ("corpus_files", "corpus_bytes")}
    if target["last_new_path"] is not None:
        expected[key + "last_new_path"] = target["last_new_path"]
    expected[key + "crashes"] = len(target["crashes"])
    for instance in target["instances"]:
        for name in ("executions_per_second", "executions", "cpu_seconds", "edges", "runs"):
            expected[f"{key}instances/{instance['name']}/{name}"] = instance[name]
    samples = target["coverage_over_time"]
    if samples:
        edges = [one[1] for one in samples]
        expected[key + "edges"] = edges[-1]
        more = {"begin": samples[0][0], "end": samples[-1][0], "most": max(edges)}
        if min(edges) < max(edges):
            more["least"] = min(edges)
        expected.update({f"{key}coverage_over_time/{name}": value for name, value in more.items()})
    for crash in target["crashes"]:
        for name in ("first_seen", "times", "reproduced", "replays"):
            expected[f"{key}crashes/{crash['id']}/{name}"] = crash[name]
        if crash["fixed_in"]:
            expected[f"{key}crashes/{crash['id']}/fixed_in"] = crash["fixed_in"]
    return expected


def _rate(instances):
    return sum(one["executions_per_second"] if one["state"] == "running" else 0 for one in instances)


def _overview(target, now):
    key = f"overview/{target['name']}/"
    expected = {key + name: sum(one[name] for one in target["instances"])
                for name in ("executions", "cpu_seconds")}
    expected[key + "executions_per_second"] = _rate(target["instances"])
    last = target["last_new_path"]
    expected.update({key + "corpus_files": target["corpus_files"], key + "crashes": len(target["crashes"]),
                     key + "last_new_path": None if last is None else now - last})
    return expected


def _of_sources(coverage):
    expected = {"source_coverage/time": coverage["time"]}
    sums = {}
    for file in coverage["files"]:
        folder = file["path"].rsplit("/", 1)[0]
        groups = [f"source_coverage/{file['path']}/", f"sum/source_coverage/{folder}/", "sum/source_coverage/"]
        for group in groups:
            lines, covered = sums.get(group, (0, 0))
            sums[group] = (lines + file["lines"], covered + file["covered"])
    for group, (lines, covered) in sums.items():
        expected.update({group + "lines": lines, group + "covered": covered,
                         group + "percent": 100 * covered / lines if lines else None})
    return expected if coverage["files"] else {}


def expected_figures(status):
    """key -> number, text, or None for a dash."""
    instances = [one for target in status["targets"] for one in target["instances"]]
    expected = {"commit": status["commit"], "build": status["build"], "started": status["started"], "now": status["now"],
                "running": "running" if status["running"] else "stopped"}
    expected.update({"limits/" + name: value for name, value in status["limits"].items()})
    expected["sum/crashes"] = sum(len(target["crashes"]) for target in status["targets"])
    fixed = [crash for target in status["targets"] for crash in target["crashes"] if crash["fixed_in"]]
    if fixed:
        expected["sum/fixed"] = len(fixed)
    for name in ("executions", "cpu_seconds"):
        expected["sum/" + name] = sum(one[name] for one in instances)
    expected["sum/executions_per_second"] = _rate(instances)
    expected["sum/instances"] = len(instances)
    for state in ("running", "failed"):
        number = len([one for one in instances if one["state"] == state])
        if number or state == "running":
            expected["sum/" + state] = number
    for target in status["targets"]:
        expected.update(_of_target(target))
        expected.update(_overview(target, status["now"]))
    if status["source_coverage"]:
        expected.update(_of_sources(status["source_coverage"]))
    return expected


# ---- What a page shows ----------------------------------------------------------------------------------------------

def parse(text):
    """A number, and how far from it the value may be: "1.5 GiB", "2 h 3 min", "1,234"; a time counts as seconds."""
    if text.endswith(" UTC"):
        time = datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=datetime.timezone.utc)
        return time.timestamp(), 1
    value = slack = 0.0
    words = re.findall(r"([\d,]+(?:\.\d+)?) ?([A-Za-z%]*)", text.removesuffix(" ago"))
    for number, unit in words:
        digits = len(number.partition(".")[2])
        value += float(number.replace(",", "")) * UNITS[unit]
        slack = UNITS[unit] * 10.0 ** -digits
    if not words:
        raise ValueError(text)
    return value, slack


def _agrees(expected, shown):
    if expected is None:
        return shown in ("-", "- %")
    if isinstance(expected, str):
        return expected == shown
    try:
        value, slack = parse(shown)
    except (ValueError, KeyError):
        return False
    is_exact = isinstance(expected, int) and slack == 1 and not shown.endswith("UTC")
    return value == expected if is_exact else abs(value - expected) <= slack


def differences(status, figures):
    """What is wrong with the figures of a page, one a line."""
    expected = expected_figures(status)
    lines = [f"{key} is missing" for key in expected if key not in figures]
    lines += [f"{key} is not in the status" for key in figures if key not in expected]
    return lines + [f"{key}: {shown!r} is shown for {expected[key]!r}" for key, shown in figures.items()
                    if key in expected and not _agrees(expected[key], shown)]


# ---- Colours --------------------------------------------------------------------------------------------------------

def palettes(style):
    """The colours by name, of light and of dark."""
    blocks = re.findall(r":root \{(.*?)\}", style, re.S)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]


def _luminance(colour):
    parts = [int(colour[at:at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)
