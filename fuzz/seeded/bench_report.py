#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The figures, tables and the plot of bug_bench.py: functions of the trials alone.

A trial that ended without a detection says only that it would have taken longer: it is right-censored. Medians and curves
are Kaplan and Meier's, which take it as that.
"""

import collections
import math
import shutil
import subprocess

# What is counted of one trial. group: engine and mode, with a blank between them; time and executions: until the detection,
# or in all where there was none.
Trial = collections.namedtuple("Trial", "bug name group detected cpu_seconds executions reached triggered")


def survival(times):
    """times: (value, whether it was detected then). The curve as [(value, share that is left after it)], from (0, 1) on."""
    left, share, curve = len(times), 1.0, [(0.0, 1.0)]
    events = collections.defaultdict(lambda: [0, 0])
    for value, detected in times:
        events[value][0 if detected else 1] += 1
    for value, (detected, censored) in sorted(events.items()):
        if detected:
            share *= 1 - detected / left
            curve.append((value, share))
        left -= detected + censored
    return curve


def quantile(times, part):
    """The least value by which that part is detected; infinity where it is not reached."""
    return next((value for value, share in survival(times) if share <= 1 - part + 1e-9), math.inf)


def median(times):
    return quantile(times, 0.5)


def format_number(value, digits):
    """digits: behind the point; for great numbers a separator."""
    return "{:,.{}f}".format(value, digits)


def format_median(times, digits):
    """The median, or more than what was tried."""
    if not times:
        return ""
    value = median(times)
    if math.isinf(value):
        return ">" + format_number(max(time for time, _ in times), digits)
    return format_number(value, digits)


def format_table(header, rows, left):
    """A Markdown table, aligned for reading as it is. left: how many columns are to the left."""
    widths = [max(len(row[i]) for row in [header] + rows) for i in range(len(header))]

    def line(cells):
        padded = [cell.ljust(width) if i < left else cell.rjust(width) for i, (cell, width) in
                  enumerate(zip(cells, widths))]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (width + 1) + ("-" if i < left else ":") for i, width in enumerate(widths)) + "|"
    return "\n".join([line(header), rule] + [line(row) for row in rows])


def groups_of(trials):
    return list(dict.fromkeys(trial.group for trial in trials))


def times_of(trials):
    return [(trial.cpu_seconds, trial.detected) for trial in trials]


def executions_of(trials):
    return [(trial.executions, trial.detected) for trial in trials if trial.executions is not None]


def bug_table(trials):
    """A row for each bug."""
    groups = groups_of(trials)
    header = ["bug", "name"] + [column for group in groups for column in
                                ("%s: executions" % group, "CPU s", "missed")]
    rows = []
    for number, name in sorted({(trial.bug, trial.name) for trial in trials}):
        row = [str(number), name]
        for group in groups:
            mine = [trial for trial in trials if trial.bug == number and trial.group == group]
            missed = sum(not trial.detected for trial in mine)
            row += [format_median(executions_of(mine), 0), format_median(times_of(mine), 2),
                    "%d of %d" % (missed, len(mine)) if missed else ""]
        rows.append(row)
    return format_table(header, rows, 2)


def stage_of(trials):
    """How far the best of a bug's trials came."""
    for stage in ("detected", "triggered", "reached"):
        if any(getattr(trial, stage) for trial in trials):
            return stage
    return "not reached"


def summary_table(trials):
    """A row for each engine and mode."""
    rows = []
    for group in groups_of(trials):
        mine = [trial for trial in trials if trial.group == group]
        bugs = collections.defaultdict(list)
        for trial in mine:
            bugs[trial.bug].append(trial)
        executions = sum(trial.executions or 0 for trial in mine)
        seconds = sum(trial.cpu_seconds for trial in mine)
        rows.append([group, str(len(bugs)), str(len(mine))] +
                    [str(sum(bool(getattr(trial, stage)) for trial in mine))
                     for stage in ("reached", "triggered", "detected")] +
                    [str(sum(any(t.detected for t in one) for one in bugs.values())),
                     str(sum(all(t.detected for t in one) for one in bugs.values())),
                     format_median(times_of(mine), 2), "%.0f" % seconds,
                     format_number(executions / seconds, 0) if seconds else ""])
    header = ["engine, mode", "bugs", "trials", "reached", "triggered", "detected", "bugs ever detected",
              "bugs always detected", "median CPU s", "CPU s in all", "executions per CPU s"]
    return format_table(header, rows, 1)


def escaped_list(trials):
    """What was not detected, and how far it came: reached and no more is a gap of the oracles or of what is combined; not
    even reached is one of what the mutators make."""
    lines = []
    for number, name in sorted({(trial.bug, trial.name) for trial in trials}):
        missing = []
        for group in groups_of(trials):
            mine = [trial for trial in trials if trial.bug == number and trial.group == group]
            if mine and not any(trial.detected for trial in mine):
                missing.append("%s (%s)" % (group, stage_of(mine)))
        if missing:
            lines.append("- %d %s: %s" % (number, name, ", ".join(missing)))
    return "\n".join(lines) or "Nothing."


def report(trials, title, notes):
    return "\n\n".join([
        "# " + title, "\n".join("- " + note for note in notes),
        "## In all\nTrials in which the bug's place was passed, in which that made a difference, and in which it was "
        "detected.", summary_table(trials),
        "## Never detected, and how far they came", escaped_list(trials),
        "## By bug\nMedians over the trials until the detection; missed trials count as longer than what was tried, and "
        "`>` stands before a median that was not reached.", bug_table(trials),
    ]) + "\n"


# ---- The plot --------------------------------------------------------------------------------------------------------

# Times are plotted on a logarithmic axis.
LEAST_SECONDS = 0.01

_PLOT = """set terminal svg size 900,540 font 'sans-serif,13' background rgb 'white'
set output '{output}'
set logscale x
set xrange [{least}:{greatest}]
set yrange [0:1]
set xlabel 'CPU seconds'
set ylabel 'share of the trials in which the bug is not yet detected'
set grid
set key outside right top
plot {curves}
"""


def plot_data(trials, greatest):
    """Blocks of "x y" for gnuplot, one for each group, as steps that end at the greatest time."""
    blocks = []
    for group in groups_of(trials):
        curve = survival(times_of([trial for trial in trials if trial.group == group]))
        points = [(max(value, LEAST_SECONDS), share) for value, share in curve]
        blocks.append("\n".join("%.4f %.4f" % point for point in points + [(greatest, points[-1][1])]))
    return "\n\n\n".join(blocks) + "\n"


def plot(trials, directory):
    """Writes survival.dat, survival.gnuplot and survival.svg. A message instead where there is no gnuplot, otherwise None."""
    greatest = max(max((trial.cpu_seconds for trial in trials), default=0), 10 * LEAST_SECONDS)
    with open(directory + "/survival.dat", "w", encoding="utf-8") as data:
        data.write(plot_data(trials, greatest))
    curves = ", ".join("'%s/survival.dat' index %d with steps linewidth 2 title '%s'" % (directory, i, group)
                       for i, group in enumerate(groups_of(trials)))
    script = directory + "/survival.gnuplot"
    with open(script, "w", encoding="utf-8") as commands:
        commands.write(_PLOT.format(output=directory + "/survival.svg", least=LEAST_SECONDS, greatest=greatest,
                                    curves=curves))
    if shutil.which("gnuplot") is None:
        return "gnuplot is missing, and so is survival.svg: apt-get install gnuplot-nox"
    run = subprocess.run(["gnuplot", script], capture_output=True, text=True, check=False)
    return "gnuplot failed: " + run.stderr if run.returncode != 0 else None
