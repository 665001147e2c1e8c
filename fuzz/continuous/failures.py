#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an input that fails says of the bug: one line, and a key that is the same for all inputs that meet the same bug.

The oracles name themselves and what they saw. Where no oracle spoke it is the sanitizer's summary or the functions on top of
the stack. Numbers and addresses are another matter in each input, and are no part of the key.
"""

import collections
import hashlib
import re

# kind: "crash", "timeout", "memory" or "leak", as in the state's schema; None where nothing failed.
Failure = collections.namedtuple("Failure", "kind summary key")

PASSED = Failure(None, "", "")
ORACLE = re.compile(r"^fuzz: oracle (?P<name>\w+): (?P<message>.*?)(?: \(operation \d+, .*\))?$", re.M)
# Other lines that a program says before it aborts.
LINES = [re.compile(pattern, re.M) for pattern in (
    r"^fuzz: .+$", r"^hakmem: .+$", r"^.*\bAssertion .+ failed.*$", r"^SUMMARY: \w+Sanitizer: .+$", r"^.*: runtime error: .+$")]
FRAME = re.compile(r"^\s*#\d+ 0x[0-9a-f]+ (?:in (?P<function>\S+)|\((?P<module>[^)]*)\))", re.M)
# Of the engine, the sanitizer and the C library: how it ended, not where.
ENDING = re.compile(r"^(fuzzer::|__sanitizer|__asan|__ubsan|__interceptor|raise|abort|gsignal|__GI_|__libc|_start|main$|"
                    r"oracle_failed|LLVMFuzzer|pthread_kill|__pthread_kill|__restore_rt|print_stack)")
TOP_FRAMES = 3


def without_numbers(text):
    return re.sub(r"\b(?:0x[0-9a-fA-F]+|\d+)", "#", text)


def frames_of(text):
    names = [match["function"] or without_numbers(match["module"]) for match in FRAME.finditer(text)]
    return [name for name in names if not ENDING.match(name)][:TOP_FRAMES]


def describe(kind, text, status):
    """kind is how the run ended, text what was printed."""
    if kind is None:
        return PASSED
    if kind in ("timeout", "memory"):
        # Where it was at that moment is chance.
        return Failure(kind, "takes too long" if kind == "timeout" else "takes too much memory", kind)
    oracle = ORACLE.search(text)
    if oracle:
        key = "oracle %s: %s" % (oracle["name"], without_numbers(oracle["message"]))
        return Failure(kind, oracle.group(0)[len("fuzz: "):][:200], key)
    for pattern in LINES:
        found = pattern.search(text)
        if found:
            line = found.group(0).strip()
            return Failure(kind, line[:200], "%s: %s" % (kind, without_numbers(line)))
    frames = frames_of(text)
    if frames:
        return Failure(kind, "%s in %s" % (kind, " < ".join(frames))[:200], "%s in %s" % (kind, " ".join(frames)))
    ending = "signal %d" % -status if status is not None and status < 0 else "status %s" % status
    return Failure(kind, ending, "%s: %s" % (kind, ending))


def identity_of(key):
    """Twelve digits, the same in every run."""
    return hashlib.sha256(key.encode("utf-8")).hexdigest()[:12]


def slug_of(failure):
    """A word for a file's name."""
    oracle = re.match(r"oracle (\w+)", failure.key)
    return oracle.group(1) if oracle else failure.kind
