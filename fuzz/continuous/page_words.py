# SPDX-License-Identifier: Apache-2.0
"""Numbers, sizes and times as the status page writes them."""

import datetime

BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def count(number):
    return f"{number:,}"


def rate(number):
    """A number per second: three digits say enough."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


def size(number):
    value, unit = float(number), 0
    while value >= 1024 and unit < len(BYTE_UNITS) - 1:
        value /= 1024
        unit += 1
    return f"{number} B" if unit == 0 else f"{value:.1f} {BYTE_UNITS[unit]}"


def duration(seconds):
    """The two greatest units, rounded down."""
    seconds = max(0, int(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86400} d {seconds % 86400 // 3600} h"


def date_of(seconds):
    # The last second that has a date of four digits.
    return datetime.datetime.fromtimestamp(min(max(seconds, 0), 253402300799), datetime.timezone.utc)


def moment(seconds):
    """In UTC, so that a page reads the same for everyone."""
    return date_of(seconds).strftime("%Y-%m-%d %H:%M:%S UTC")


def machine_moment(seconds):
    return date_of(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def percent(part, whole):
    """Rounded down: 100.0 is all of it."""
    return f"{1000 * part // whole / 10:.1f}" if whole else "-"


def plural(number, one, many):
    return f"{number:,} {one if number == 1 else many}"
