#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scripts in place of the fuzz programs and of afl-fuzz, for the tests, which look for what the runner makes of them.

An input is a text of words: a number is an edge that it covers, BADname fails by the oracle name, SOMETIMESname every other
time,
LONG takes too long. What covers nothing new is superfluous.
"""

import hashlib
import os
import random
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
STEP_SECONDS = 0.005
EDGES = 3000


def words_of(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read().split()


def edges_below(directory):
    """All edges that the files of a directory cover."""
    found = set()
    for name in os.listdir(directory):
        try:
            found |= {word for word in words_of(os.path.join(directory, name)) if word.isdigit()}
        except FileNotFoundError:
            pass
    return found


def make_input():
    return " ".join(str(random.randrange(EDGES)) for _ in range(random.randint(1, 4)))


def put(directory, prefix, text):
    name = prefix + hashlib.sha1(text.encode("ascii")).hexdigest()
    with open(os.path.join(directory, name), "w", encoding="ascii") as file:
        file.write(text)


def run_input(path):
    """As a target runs one input."""
    for word in words_of(path):
        if word.startswith("SOMETIMES"):
            marker = os.path.join(os.environ["FAKE_DIRECTORY"], "sometimes")
            if os.path.exists(marker):
                os.unlink(marker)
                continue
            with open(marker, "wb"):
                pass
            word = "BAD" + word[len("SOMETIMES"):]
        if word.startswith("BAD") and word[3:] != os.environ.get("FAKE_FIXED"):
            print("fuzz: oracle %s: block %s is wrong (operation 7, malloc, direct)" % (word[3:], random.random()),
                  file=sys.stderr)
            sys.exit(77)
        if word == "LONG":
            sys.exit(70)


def merge(output, source, control=None):
    """Slowly, so that it is interrupted now and then. As libFuzzer's, it does nothing where the control file is whole, and
    leaves out what fails."""
    if control and os.path.exists(control):
        print("MERGE-OUTER: nothing to do, merge has been completed before")
        return
    time.sleep(float(os.environ.get("FAKE_MERGE_SECONDS", "0")))
    known, names = set(), sorted(os.listdir(source))
    lines = [str(len(names)), "0"] + [os.path.join(source, name) for name in names]
    for number, name in enumerate(names):
        edges = set(words_of(os.path.join(source, name)))
        lines.append("STARTED %d 1" % number)
        if "UNLUCKY" in edges:
            continue
        lines.append("FT %d 5 6" % number)
        if edges - known and not os.environ.get("FAKE_BAD_MERGE"):
            known |= edges
            shutil.copyfile(os.path.join(source, name), os.path.join(output, name))
        time.sleep(0.0005)
    if control:
        with open(control, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")


def fuzz(new, artifacts, prefix):
    finds = os.environ.get("FAKE_FINDS", "").split()
    while True:
        time.sleep(STEP_SECONDS)
        put(new, prefix, make_input())
        if finds and random.random() < 0.01:
            put(artifacts, "crash-", "%s %s" % (make_input(), random.choice(finds)))
            sys.exit(77)


def libfuzzer(arguments):
    options = dict((word[1:].split("=", 1) + [""])[:2] for word in arguments if word.startswith("-"))
    paths = [word for word in arguments if not word.startswith("-")]
    if "merge" in options:
        merge(*paths, options["merge_control_file"])
    elif options.get("minimize_crash"):
        small = [word for word in words_of(paths[0]) if not word.isdigit()]
        if os.environ.get("FAKE_SLIP"):
            small = [os.environ["FAKE_SLIP"]]
        with open(options["exact_artifact_path"], "w", encoding="ascii") as file:
            file.write(" ".join(small))
    elif options.get("runs") == "0":
        print("#9\tDONE cov: %d ft: 1" % len(edges_below(paths[-1])))
    elif len(paths) == 1:
        run_input(paths[0])
    else:
        if os.environ.get("FAKE_BROKEN"):
            print("ERROR: no such flag", file=sys.stderr)
            sys.exit(1)
        print("#1\tINITED cov: %d ft: 1" % len(edges_below(paths[-1])), flush=True)
        fuzz(paths[0], options["artifact_prefix"], "")


def afl(arguments):
    output = arguments[arguments.index("-o") + 1]
    role = arguments[arguments.index("-M" if "-M" in arguments else "-S") + 1]
    directory = os.path.join(output, role)
    for name in ("queue", "crashes"):
        os.makedirs(os.path.join(directory, name), exist_ok=True)
    with open(os.path.join(directory, "fuzzer_stats"), "w", encoding="ascii") as file:
        file.write("execs_done        : 100\nedges_found       : 7\n")
    number = len(os.listdir(os.path.join(directory, "queue")))
    while True:
        time.sleep(STEP_SECONDS)
        with open(os.path.join(directory, "queue", "id:%06d,src:000000" % number), "w", encoding="ascii") as file:
            file.write(make_input())
        number += 1


def make_programs(directory, targets=("one",)):
    """Programs as fuzzing_variant makes them for the variant fake, and an afl-fuzz to be put on the PATH."""
    os.makedirs(os.path.join(directory, "bin"), exist_ok=True)
    os.makedirs(os.path.join(directory, "op"), exist_ok=True)
    python = "#!/bin/sh\n# FUZZ_MUTATOR\nexec %s -B %s %%s \"$@\"\n" % (sys.executable, os.path.abspath(__file__))
    scripts = {os.path.join("bin", "afl-fuzz"): python % "afl", os.path.join("op", "print_program"): "#!/bin/sh\necho $1\n",
               os.path.join("op", "libop_mutator.so"): ""}
    for target in targets:
        for kind in ("libfuzzer", "asan", "afl"):
            scripts["%s_fake_%s_bin" % (target, kind)] = python % "libfuzzer"
    for name, text in scripts.items():
        path = os.path.join(directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(path, 0o755)
    return directory


if __name__ == "__main__":
    {"afl": afl, "libfuzzer": libfuzzer}[sys.argv[1]](sys.argv[2:])
