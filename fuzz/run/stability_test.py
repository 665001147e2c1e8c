#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each input of a corpus covers the same whenever it is executed, whatever was executed before it: what AFL++ calls stability.

    stability_test.py BINARY CORPUS

BINARY is a fuzz target for AFL++ without a sanitizer. afl-showmap counts how often an input comes along each edge, in the steps
that AFL++ tells apart; all inputs are executed in one process, each of them three times.
"""

import os
import shutil
import subprocess
import sys
import tempfile

TIMES = 3
# More than any target has edges.
MAP_BYTES = 1 << 16
SHOWN = 5


def copy_corpus(corpus, directory):
    names = sorted(os.listdir(corpus))
    for time in range(TIMES):
        for name in names:
            shutil.copy(os.path.join(corpus, name), os.path.join(directory, "%s.%d" % (name, time)))
    return names


def show_maps(binary, inputs, maps):
    # As afl-fuzz tells a target that it is to stay for more than one input.
    environment = dict(os.environ, __AFL_PERSISTENT="1", AFL_QUIET="1", AFL_MAP_SIZE=str(MAP_BYTES))
    done = subprocess.run(["afl-showmap", "-m", "none", "-t", "25000", "-i", inputs, "-o", maps, "--", binary],
                          env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                          errors="replace", check=False)
    if done.returncode != 0:
        sys.exit("afl-showmap: status %d\n%s" % (done.returncode, done.stdout[-3000:]))


def read_map(path):
    with open(path, encoding="ascii") as lines:
        return set(lines.read().split())


def variable_edges(maps, name):
    """EDGE:STEP of the edges that not every execution of an input came along as often."""
    executions = [read_map(os.path.join(maps, "%s.%d" % (name, time))) for time in range(TIMES)]
    return set.union(*executions) - set.intersection(*executions)


def main(binary, corpus):
    if shutil.which("afl-showmap") is None:
        sys.exit("afl-showmap is missing: apt-get install afl++")
    with tempfile.TemporaryDirectory(prefix="stability.") as directory:
        inputs, maps = os.path.join(directory, "inputs"), os.path.join(directory, "maps")
        os.mkdir(inputs)
        names = copy_corpus(corpus, inputs)
        show_maps(os.path.abspath(binary), inputs, maps)
        variable = {name: variable_edges(maps, name) for name in names}
        most = max((len(read_map(os.path.join(maps, "%s.0" % name))) for name in names), default=0)
    for name, edges in variable.items():
        if edges:
            print("%s: %d edges differ: %s" % (name, len(edges), " ".join(sorted(edges)[:SHOWN])))
    count = sum(1 for edges in variable.values() if edges)
    print("%d inputs, with %d edges at most; %d are variable" % (len(names), most, count))
    return 1 if count or most == 0 else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
