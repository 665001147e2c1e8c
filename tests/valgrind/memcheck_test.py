# SPDX-License-Identifier: Apache-2.0
"""Runs memcheck_program under Valgrind and compares the kinds of errors that memcheck reports with those that are meant.

  memcheck_test.py --program PATH ...

With the Box, memcheck knows of every block; of the other levels it is told nothing, and there the program must run and memcheck
be silent. Under both, memory must be had as elsewhere.
"""

import argparse
import collections
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

SMALL, RUN, SPAN = 100, 100000, 3 << 20
# What is done, with blocks of which sizes, what memcheck calls it, and what it says of the address.
BEHIND = r"is 0 bytes after a block of size [\d,]+ alloc'd"
FREED = r"inside a block of size [\d,]+ free'd"
WRONG = (
    ("read_behind", (1, SMALL, 111, 32768, RUN, SPAN), "InvalidRead", BEHIND),
    ("read_before", (SMALL, RUN, SPAN), "InvalidRead", r"is 1 bytes before a block of size [\d,]+ alloc'd"),
    ("write_behind", (SMALL, 111, RUN, SPAN), "InvalidWrite", BEHIND),
    ("read_freed", (SMALL, RUN, SPAN), "InvalidRead", FREED),
    ("read_freed_by_realloc", (SMALL, 30000), "InvalidRead", FREED),
    ("write_freed", (SMALL, RUN, SPAN), "InvalidWrite", FREED),
    ("use_uninitialised", (SMALL, RUN, SPAN), "UninitCondition", ""),
    ("use_uninitialised_again", (SMALL, RUN, SPAN), "UninitCondition", ""),
    ("use_uninitialised_after_growth", (90, 100, RUN, SPAN), "UninitCondition", ""),
    ("use_uninitialised_after_move", (SMALL, RUN, SPAN), "UninitCondition", ""),
    ("read_behind_shrunk", (SMALL, RUN, SPAN), "InvalidRead", ""),
    ("leak", (SMALL,), "Leak_DefinitelyLost", ""),
    # hakmem's own tables have addresses that lie in such blocks.
    ("leak", (RUN, SPAN), "Leak_PossiblyLost", ""),
)
RIGHT = (
    ("right_zeroed", (SMALL, RUN, SPAN)),
    ("right_resized", (SMALL, 5000, RUN, SPAN // 4)),
    ("right_moved", (SMALL, RUN, SPAN)),
    ("right_mixed", (0,)),
    ("right_large", (3 << 20, 300 << 20)),
)
SECONDS = 120


def run(program, arguments):
    """What the program ended with, what it wrote, and memcheck's errors as (kind, text)."""
    with tempfile.TemporaryDirectory() as directory:
        report = os.path.join(directory, "report.%p.xml")
        command = ["valgrind", "--soname-synonyms=somalloc=nouserintercepts", "--leak-check=full",
                   "--show-leak-kinds=definite,possible", "--xml=yes", f"--xml-file={report}", "--child-silent-after-fork=yes",
                   os.path.abspath(program)]
        process = subprocess.run(command + arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False)
        errors = []
        for name in os.listdir(directory):
            for error in xml.etree.ElementTree.parse(os.path.join(directory, name)).getroot().iter("error"):
                errors.append((error.findtext("kind"), " ".join(each.text or "" for each in error.iter("auxwhat"))))
    return process.returncode, process.stdout, errors


def complaint(outcome, kind, address):
    """What is wrong with the outcome; None if nothing is. kind is None where nothing is to be found."""
    status, output, errors = outcome
    # The Box may find it too, later, and ends the process then.
    if status != 0 or output != "":
        return f"ended with {status} and wrote: {output}"
    counts = collections.Counter(found for found, _ in errors)
    expected = {} if kind is None else {kind: 1}
    if counts != expected:
        return f"memcheck reports {dict(counts)} instead of {expected}"
    if kind is not None and not re.search(address, errors[0][1]):
        return f"memcheck says {errors[0][1]!r}, which is not {address!r}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", action="append", required=True, metavar="PATH")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        sys.exit("memcheck_test.py: valgrind is missing: apt-get install valgrind")
    cases = []
    for program in arguments.program:
        tracks = " checks=2" in subprocess.check_output([os.path.abspath(program)], text=True)
        todo = [(name, sizes, None, "") for name, sizes in RIGHT]
        # Without the Box nobody notices, as long as the access stays in hakmem's memory, as beside small blocks.
        todo += WRONG if tracks else [(name, (SMALL,), None, "") for name, _, _, _ in WRONG]
        for name, sizes, kind, address in todo:
            cases += [(program, name, size, kind, address) for size in sizes]
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        outcomes = pool.map(lambda case: run(case[0], [case[1], str(case[2])]), cases)
        for (program, name, size, kind, address), outcome in zip(cases, outcomes):
            found = complaint(outcome, kind, address)
            if found is not None:
                wrong += 1
                print(f"{os.path.basename(program)} {name} {size}: {found}", flush=True)
    print(f"{len(cases)} cases, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
