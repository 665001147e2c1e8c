#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The status page of a continuous run: one HTML file, made from status.json alone.

    fuzz/continuous/status_page.py DIR        writes DIR/index.html from DIR/status.json

The page has all in itself, needs no server and no script, and asks the browser to read it again. What a figure is of stands
in its attribute data-key, as the way to it in status.json ("targets/NAME/instances/NAME/executions"), or for a sum in words of
its own ("sum/executions"): the tests compare the figures by it.
"""

import html
import json
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import page_style  # noqa: E402
import page_words as words  # noqa: E402

REFRESH_SECONDS = 10
# The runner writes every few seconds, more rarely while it minimises a crash.
OLD_SECONDS = 300
NEARLY_FULL = 0.9
# A line on a screen has no more.
PLOT_POINTS = 400


# ---- Pieces ---------------------------------------------------------------------------------------------------------

def escape(text):
    return html.escape(str(text), quote=True)


def figure(key, text, tag="span", classes=""):
    attributes = f' class="{classes}"' if classes else ""
    return f'<{tag}{attributes} data-key="{escape(key)}">{escape(text)}</{tag}>'


def number_cell(key, text):
    return figure(key, text, "td", "number")


def optional_cell(key, value, write):
    """A dash where there is no number yet."""
    return number_cell(key, "-" if value is None else write(value))


def time_of(key, seconds):
    return f'<time data-key="{escape(key)}" datetime="{words.machine_moment(seconds)}">{words.moment(seconds)}</time>'


def ago(key, seconds, now):
    """A time, and how long it was before the page was written."""
    return f"{words.duration(now - seconds)} ago<small>{time_of(key, seconds)}</small>"


def link(path, text):
    # From "./" on nothing in a path is taken for another scheme or host.
    return f'<a href="./{escape(urllib.parse.quote(path))}">{escape(text)}</a>'


def anchor(name):
    return "target-" + urllib.parse.quote(name, safe="")


def facts(pairs):
    return '<dl class="facts">' + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in pairs) + "</dl>\n"


def bar(part, whole, classes="bar"):
    share = 100 * min(part, whole) / whole if whole else 0
    return f'<div class="{classes}" aria-hidden="true"><div style="width:{share:.1f}%"></div></div>'


def table(caption, headings, rows, footer=""):
    """headings: (text, whether numbers stand below it). Wide tables scroll by themselves, not the page."""
    head = "".join(f'<th scope="col"{" class=number" if is_number else ""}>{escape(text)}</th>' for text, is_number in headings)
    foot = f"<tfoot>{footer}</tfoot>" if footer else ""
    return (f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}"><table><caption>{escape(caption)}'
            f'</caption><thead><tr>{head}</tr></thead><tbody>\n{"".join(rows)}</tbody>{foot}</table></div>\n')


# ---- The run --------------------------------------------------------------------------------------------------------

def rate_now(instances):
    """Those that wait have the rate that they had when they ran."""
    return sum(one["executions_per_second"] for one in instances if one["state"] == "running")


def sums(status):
    """Over all engines."""
    instances = [instance for target in status["targets"] for instance in target["instances"]]
    return {
        "crashes": sum(len(target["crashes"]) for target in status["targets"]),
        "fixed": sum(bool(crash["fixed_in"]) for target in status["targets"] for crash in target["crashes"]),
        "executions": sum(instance["executions"] for instance in instances),
        "executions_per_second": rate_now(instances),
        "cpu_seconds": sum(instance["cpu_seconds"] for instance in instances),
        "failed": sum(instance["state"] == "failed" for instance in instances),
        "instances": len(instances),
        "running": sum(instance["state"] == "running" for instance in instances),
    }


def heading(status):
    now, started = time_of("now", status["now"]), time_of("started", status["started"])
    ago = words.duration(status["now"] - status["started"])
    if not status["running"]:
        return f'<h1>Fuzzing of hakmem: <span class="bad" data-key="running">stopped</span></h1>\n' \
               f"<p>Since {now}; it was started first {ago} before, at {started}.</p>\n"
    return f'<h1>Fuzzing of hakmem: <span class="good" data-key="running">running</span></h1>\n' \
           f"<p>Started first {ago} ago, at {started}. This page was written at {now}.</p>\n" \
           f'<p id="old" class="bad" hidden data-written="{int(status["now"])}" data-limit="{OLD_SECONDS}">This page has not ' \
           f"been written for more than {OLD_SECONDS // 60} minutes: the runner may have ended without saying so.</p>\n"


def crash_count(key, number):
    return f'<span class="{"bad" if number else "good"}">{figure(key, words.count(number))}</span>'


def disk_fact(limits):
    used, most = limits["disk_used_bytes"], limits["disk_bytes"]
    is_full = used >= NEARLY_FULL * most
    return (f'{figure("limits/disk_used_bytes", words.size(used))} of {figure("limits/disk_bytes", words.size(most))}'
            + bar(used, most, "bar full" if is_full else "bar")
            + ('<small class="bad">nearly full</small>' if is_full else ""))


def header(status, total):
    def summed(name, write=words.count):
        return figure("sum/" + name, write(total[name]))

    fixed = f'<small>{summed("fixed")} fixed</small>' if total["fixed"] else ""
    failed = f'<small class="bad">{summed("failed")} failed</small>' if total["failed"] else ""
    memory = figure("limits/memory_mib_per_engine", words.count(status["limits"]["memory_mib_per_engine"]))
    return heading(status) + facts([
        ("Crashes", crash_count("sum/crashes", total["crashes"]) + fixed),
        ("Executions", f'{summed("executions")}<small>{summed("executions_per_second", words.rate)} a second now</small>'),
        ("CPU time", summed("cpu_seconds", words.duration)),
        ("Engines", f'{summed("running")} of {summed("instances")} running{failed}<small>at most {memory} MiB each</small>'),
        ("Disk", disk_fact(status["limits"])),
        ("Commit", f'<code data-key="commit">{escape(status["commit"])}</code>'
                   f'<small>build <code data-key="build">{escape(status["build"])}</code></small>'),
    ])


# ---- Crashes --------------------------------------------------------------------------------------------------------

def crash_links(crash):
    links = [link(crash[name], text) for name, text in (("list", "list of calls"), ("program", "C program"), ("input", "input"),
                                                        ("regression", "for fuzz/regress")) if crash[name]]
    return ", ".join(links) + ("" if crash["regression"] else '<br><span class="bad">did not fail each time</span>')


def crash_state(key, crash):
    """Whether it fails with the build that runs now, which tried."""
    if not crash["fixed_in"]:
        return '<span class="bad">open</span>'
    return f'<span class="good">fixed in <code>{figure(key + "fixed_in", crash["fixed_in"])}</code></span>'


def crash_row(target, crash, now):
    key = f'targets/{target["name"]}/crashes/{crash["id"]}/'
    return (f'<tr><th scope="row"><code>{escape(crash["id"])}</code><br>{escape(crash["kind"])}<br>'
            f'{crash_state(key, crash)}</th>'
            f'<td class="long"><code>{escape(crash["summary"])}</code></td>'
            f'<td class="long">{crash_links(crash)}</td>'
            f'<td><a href="#{escape(anchor(target["name"]))}">{escape(target["name"])}</a><br>'
            f'<span class="quiet">{escape(crash["found_by"])}</span></td>'
            f'<td>{words.duration(now - crash["first_seen"])} ago<br>'
            f'<span class="quiet">{time_of(key + "first_seen", crash["first_seen"])}</span></td>'
            + number_cell(key + "times", words.count(crash["times"]))
            + f'<td class="number">{figure(key + "reproduced", words.count(crash["reproduced"]))} of '
              f'{figure(key + "replays", words.count(crash["replays"]))}</td></tr>\n')


def crashes_section(status, total):
    """What a person looks for stands first; what cannot be repeated behind it, and what is fixed at its end."""
    if not total["crashes"]:
        return '<p class="good">No crash has been found.</p>\n'
    rows = [((bool(crash["fixed_in"]), not crash["regression"], -crash["first_seen"]), crash_row(target, crash, status["now"]))
            for target in status["targets"] for crash in target["crashes"]]
    rows = [row for _, row in sorted(rows, key=lambda one: one[0])]
    headings = [("Crash", False), ("What it says", False), ("Reproducer", False), ("Target, found by", False),
                ("First seen", False), ("Seen", True), ("Reproduced", True)]
    title = words.plural(total["crashes"], "crash", "crashes")
    return f'<section class="problem"><h2>{title}</h2>\n{table("Crashes, the newest first", headings, rows)}</section>\n'


# ---- Targets --------------------------------------------------------------------------------------------------------

def state_cell(instance):
    classes = {"running": "good", "failed": "bad"}.get(instance["state"], "quiet")
    error = f'<br><code>{escape(instance["error"])}</code>' if instance["error"] else ""
    return f'<td class="{"long" if error else ""}"><span class="{classes}">{escape(instance["state"])}</span>{error}</td>'


def instance_row(target, instance):
    key = f'targets/{target["name"]}/instances/{instance["name"]}/'
    return (f'<tr><th scope="row">{escape(instance["name"])}</th>'
            + "".join(f"<td>{escape(instance[name])}</td>" for name in ("engine", "mutator", "sanitizer"))
            + number_cell(key + "executions_per_second", words.rate(instance["executions_per_second"]))
            + number_cell(key + "executions", words.count(instance["executions"]))
            + number_cell(key + "cpu_seconds", words.duration(instance["cpu_seconds"]))
            + optional_cell(key + "edges", instance["edges"], words.count)
            + number_cell(key + "runs", words.count(instance["runs"])) + state_cell(instance) + "</tr>\n")


INSTANCE_HEADINGS = [("Instance", False), ("Engine", False), ("Mutator", False), ("Sanitizer", False),
                     ("Executions/s", True), ("Executions", True), ("CPU time", True), ("Edges", True), ("Runs", True),
                     ("State", False)]


def thin_out(points, most=PLOT_POINTS):
    """So many of them at most, with the first and the last."""
    if len(points) <= most:
        return points
    return [points[round(number * (len(points) - 1) / (most - 1))] for number in range(most)]


def plot(target):
    points = sorted((float(time), edges) for time, edges in target["coverage_over_time"])
    if not points:
        return '<p class="quiet">Coverage over time: there is no sample yet.</p>\n'
    key = f'targets/{target["name"]}/coverage_over_time/'
    begin, end = points[0][0], points[-1][0]
    least, most = min(edges for _, edges in points), max(edges for _, edges in points)

    def place(time, edges):
        """In a field of 1000 by 100, with a little room above and below. One value lies in the middle."""
        across = 1000 * (time - begin) / (end - begin) if end > begin else 0
        up = (edges - least) / (most - least) if most > least else 0.5
        return f"{across:.1f},{96 - 92 * up:.1f}"

    shown = thin_out(points)
    # A single sample is a line across.
    line = " ".join([place(*point) for point in shown] if end > begin else ["0,50", "1000,50"])
    label = f"Edges covered in {target['name']}: {points[0][1]:,} at {words.moment(begin)}, " \
            f"{points[-1][1]:,} at {words.moment(end)}"
    top, bottom = figure(key + "most", words.count(most)), figure(key + "least", words.count(least)) if most > least else ""
    grid = "".join(f'<line x1="0" y1="{height}" x2="1000" y2="{height}"/>' for height in (4, 50, 96))
    return (f'<h3>Edges over time</h3>\n<div class="plot"><span class="top">{top}</span><span class="bottom">{bottom}</span>'
            f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
            f'{grid}<polyline points="{line}"/></svg><div class="times">'
            f'<span>{time_of(key + "begin", begin)}</span><span>{time_of(key + "end", end)}</span></div></div>\n')


def target_section(target, now):
    name = target["name"]
    key = f"targets/{name}/"
    last_path = ago(key + "last_new_path", target["last_new_path"], now) if target["last_new_path"] is not None else "none yet"
    edges = figure(key + "edges", words.count(target["coverage_over_time"][-1][1])) if target["coverage_over_time"] else "-"
    section = f'<section id="{escape(anchor(name))}"><h2>{escape(name)}</h2>\n' + facts([
        ("Corpus", figure(key + "corpus_files", words.plural(target["corpus_files"], "file", "files"))
         + "<small>" + figure(key + "corpus_bytes", words.size(target["corpus_bytes"])) + "</small>"),
        ("Last new path", last_path),
        ("Edges", edges),
        ("Crashes", crash_count(key + "crashes", len(target["crashes"]))),
    ])
    if target["instances"]:
        section += table(f"Engines of {name}; executions in a second of CPU, now or when it ran last", INSTANCE_HEADINGS,
                         [instance_row(target, instance) for instance in target["instances"]])
    else:
        section += '<p class="quiet">No engine has been started yet.</p>\n'
    return section + plot(target) + "</section>\n"


def overview_row(target, now):
    key = f'overview/{target["name"]}/'
    instances = target["instances"]
    last = "-" if target["last_new_path"] is None else words.duration(now - target["last_new_path"]) + " ago"
    states = [f"{sum(one['state'] == state for one in instances)} {state}" for state in ("running", "waiting", "failed")
              if any(one["state"] == state for one in instances)]
    return (f'<tr><th scope="row"><a href="#{escape(anchor(target["name"]))}">{escape(target["name"])}</a></th>'
            + number_cell(key + "executions_per_second", words.rate(rate_now(instances)))
            + number_cell(key + "executions", words.count(sum(one["executions"] for one in instances)))
            + number_cell(key + "cpu_seconds", words.duration(sum(one["cpu_seconds"] for one in instances)))
            + number_cell(key + "corpus_files", words.count(target["corpus_files"]))
            + number_cell(key + "last_new_path", last)
            + number_cell(key + "crashes", words.count(len(target["crashes"])))
            + f'<td>{escape(", ".join(states)) or "-"}</td></tr>\n')


def targets_sections(status):
    if not status["targets"]:
        return '<h2>Targets</h2>\n<p class="quiet">There is no target yet.</p>\n'
    headings = [("Target", False), ("Executions/s", True), ("Executions", True), ("CPU time", True), ("Corpus files", True),
                ("Last new path", True), ("Crashes", True), ("Engines", False)]
    rows = [overview_row(one, status["now"]) for one in status["targets"]]
    overview = table("All engines of each target; executions in a second of CPU by those that run now", headings, rows)
    return "<h2>Targets</h2>\n" + overview + "".join(target_section(one, status["now"]) for one in status["targets"])


# ---- Source coverage ------------------------------------------------------------------------------------------------

def coverage_cells(key, covered, lines):
    return (f"<td>{bar(covered, lines)}</td>" + number_cell(key + "percent", words.percent(covered, lines) + " %")
            + number_cell(key + "covered", words.count(covered)) + number_cell(key + "lines", words.count(lines)))


def source_coverage_section(coverage, now):
    title = '<section id="source-coverage"><h2>Source coverage</h2>\n'
    if coverage is None:
        return title + '<p class="quiet">It has not been measured yet.</p></section>\n'
    if not coverage["files"]:
        return title + '<p class="quiet">The corpora execute no source file.</p></section>\n'
    folders = {}
    for file in sorted(coverage["files"], key=lambda one: one["path"]):
        folders.setdefault(os.path.dirname(file["path"]), []).append(file)
    rows = []
    for folder, files in folders.items():
        covered, lines = sum(one["covered"] for one in files), sum(one["lines"] for one in files)
        rows.append(f'<tr class="group"><th scope="row">{escape(folder)}/</th>'
                    + coverage_cells(f"sum/source_coverage/{folder}/", covered, lines) + "</tr>\n")
        rows += [f'<tr><td><code>{escape(os.path.basename(one["path"]))}</code></td>'
                 + coverage_cells(f'source_coverage/{one["path"]}/', one["covered"], one["lines"]) + "</tr>\n" for one in files]
    covered, lines = (sum(one[name] for one in coverage["files"]) for name in ("covered", "lines"))
    footer = '<tr><th scope="row">all</th>' + coverage_cells("sum/source_coverage/", covered, lines) + "</tr>"
    headings = [("File", False), ("Share", False), ("Percent", True), ("Covered", True), ("Lines", True)]
    when = f'<p>Lines that the corpora execute, measured {words.duration(now - coverage["time"])} ago, at ' \
           f'{time_of("source_coverage/time", coverage["time"])}.</p>\n'
    return title + when + table("Lines of each source file", headings, rows, footer) + "</section>\n"


# ---- The page -------------------------------------------------------------------------------------------------------

def render(status):
    total = sums(status)
    name = "running" if status["running"] else "stopped"
    if total["crashes"] > total["fixed"]:
        name = words.plural(total["crashes"] - total["fixed"], "crash", "crashes") + ", " + name
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{escape(page_style.content_policy())}">\n'
            f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<link rel="icon" href="data:,">\n<title>{escape(name)} - fuzzing of hakmem</title>\n'
            f"<style>{page_style.STYLE}</style>\n</head>\n<body>\n<main>\n"
            + header(status, total) + crashes_section(status, total) + targets_sections(status)
            + source_coverage_section(status["source_coverage"], status["now"])
            + f"</main>\n<script>{page_style.SCRIPT}</script>\n</body>\n</html>\n")


def write(directory, status):
    """A reader sees the old page or the new one, never a half."""
    path, page = os.path.join(directory, "index.html"), render(status)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(page)
    os.replace(path + ".new", path)


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit(__doc__.split("\n\n")[1])
    path = os.path.join(arguments[0], "status.json")
    try:
        with open(path, encoding="utf-8") as file:
            status = json.load(file)
        write(arguments[0], status)
    except OSError as problem:
        sys.exit(f"status_page: {problem}")
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as problem:
        sys.exit(f"status_page: {path} is not what the runner writes: {type(problem).__name__}: {problem}")


if __name__ == "__main__":
    main(sys.argv[1:])
