# SPDX-License-Identifier: Apache-2.0
"""The figures and tables of compare.py: pure functions of the runs, so that bench_test.py can hold them to known values.

A ratio is always paired: subject and peer of the same round, which ran within seconds of each other, are divided first,
and the median and the quartiles are taken of these ratios. So a machine that gets slower during the comparison, or a
neighbour that takes the caches for a while, changes a ratio far less than it changes the throughputs.
"""

import statistics


def quartiles(values):
    """Lower quartile, median and upper quartile; between two values, interpolated."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def spread(values):
    """(max - min) / median."""
    return (max(values) - min(values)) / statistics.median(values)


def paired_ratios(subject, peer):
    """subject and peer: throughput by round. The ratio in each round."""
    return [ours / theirs for ours, theirs in zip(subject, peer, strict=True)]


def best_peer(throughput, subject, peers):
    """The one of peers against which the subject's median paired ratio is lowest; None if there are none."""
    present = [name for name in peers if name in throughput and name != subject]
    if not present:
        return None
    return min(present, key=lambda name: statistics.median(paired_ratios(throughput[subject], throughput[name])))


def format_ratio(ratios):
    lower, median, upper = quartiles(ratios)
    return f"{median:.3f} [{lower:.3f}..{upper:.3f}]"


def format_table(header, rows):
    """A Markdown table, aligned for reading as it is: first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells):
        padded = [cells[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)) + "|"
    return "\n".join([line(header), rule, *(line(row) for row in rows)])


def workload_table(throughput, peak_rss_kib, subject):
    """One row for each allocator. throughput and peak_rss_kib: name -> values by round."""
    rows = []
    for name, values in throughput.items():
        ratio = "" if name == subject else format_ratio(paired_ratios(throughput[subject], values))
        rows.append([
            name, f"{max(values) / 1e6:.2f}", f"{statistics.median(values) / 1e6:.2f}", f"{100 * spread(values):.1f} %",
            f"{statistics.median(peak_rss_kib[name]) / 1024:.1f}", ratio,
        ])
    header = ["allocator", "best", "median", "spread", "peak RSS, MiB", f"{subject} / this one"]
    return format_table(header, rows)


def summary_table(throughput_by_workload, subject, peers):
    """One row for each workload: the subject's paired ratios to the best one of peers and to glibc."""
    rows = []
    for workload, throughput in throughput_by_workload.items():
        best = best_peer(throughput, subject, peers)
        rows.append([
            workload,
            f"{statistics.median(throughput[subject]) / 1e6:.2f}",
            best or "",
            format_ratio(paired_ratios(throughput[subject], throughput[best])) if best else "",
            format_ratio(paired_ratios(throughput[subject], throughput["glibc"])) if "glibc" in throughput else "",
        ])
    header = ["workload", f"{subject}, M ops/s", "best peer", f"{subject} / best peer", f"{subject} / glibc"]
    return format_table(header, rows)
