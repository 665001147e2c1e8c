#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that includes and calls in allocator/ go down only.

    api > thread_cache > shared_pool > page_arena > os > base

Reads every file of the layers for its #include lines, compiles every .c on its own and asks nm what each object defines
and needs, so that a call that was declared by hand is found too. The rules are the tables below; allocator/README.md
explains them. Also checked: every file has a header comment, no more than 500 lines, and a line in that README.

    tools/check_layers.py [--root DIRECTORY] [--cc COMPILER] [--levels 0,1,2]
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

# --- The rules -------------------------------------------------------------------------------------------------------

# From top to bottom. A layer may use the layer directly below it.
LAYERS = ["api", "thread_cache", "shared_pool", "page_arena", "os", "base"]

# Layers that every layer above them may use.
COMMON_LAYERS = {"os", "base"}

# The permitted skips: the layer or file above, the header below, and what for. What the header names may be used.
SKIPS = [
    ("thread_cache", "page_arena/registry.h", "the class of a block is read from the registry"),
    ("api", "page_arena/registry.h", "the class of a block is read from the registry"),
    ("api", "page_arena/large_block.h", "large blocks do not go through the thread cache"),
    ("thread_cache/thread_record.c", "page_arena/metadata.h", "a thread's record is memory of the allocator's own"),
    ("thread_cache/quarantine.c", "page_arena/metadata.h", "so is its quarantine"),
    ("thread_cache", "page_arena/block_record.h", "the links of free blocks, and the Box's records"),
    ("thread_cache", "page_arena/large_block.h", "the Box examines large blocks, and keeps them in quarantine"),
    ("thread_cache", "page_arena/free_memory.h", "the Box looks whether free memory was written to"),
    ("thread_cache", "page_arena/block_memory.h", "the Box fills blocks, and looks whether they are still filled"),
    ("thread_cache/box.c", "page_arena/stack_depot.h", "the Box notes who allocated and who freed"),
    ("api", "page_arena/block_record.h", "as in the thread cache"),
    ("api/check_heap.c", "shared_pool/shared_pool.h", "the heap is looked at as a whole, layer by layer"),
    ("api/check_heap.c", "page_arena/page_arena.h", "the heap is looked at as a whole, layer by layer"),
    ("api", "page_arena/free_memory.h", "as in the thread cache"),
    ("api/check_heap.c", "page_arena/stack_depot.h", "live blocks are grouped by who allocated them"),
    ("api/process_lifecycle.c", "shared_pool/shared_pool.h", "fork takes the locks of every layer, from the top down"),
    ("api/process_lifecycle.c", "page_arena/page_arena.h", "start-up, and fork as above"),
    ("api/process_lifecycle.c", "page_arena/stack_depot.h", "start-up loads what unwinds stacks"),
    ("api/statistics.c", "shared_pool/shared_pool.h", "counters are read, and memory is given back, layer by layer"),
    ("api/statistics.c", "page_arena/page_arena.h", "counters are read, and memory is given back, layer by layer"),
]

# Headers that come with the compiler and need no operating system, and the functions of <string.h> that do not either.
FREE_HEADERS = {"limits.h", "stdalign.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "stdnoreturn.h", "string.h"}
FREE_SYMBOLS = {
    "memchr", "memcmp", "memcpy", "memmove", "memset", "strcmp", "strcspn", "strlen", "strncmp",
    # The compiler's own library.
    "__popcountdi2", "_GLOBAL_OFFSET_TABLE_",
}

# The only layer that may include system headers and refer to what the C library defines.
SYSTEM_LAYER = "os"

# Other exceptions: the layer or file, headers, symbols, and what for.
EXCEPTIONS = [
    ("api", {"hakmem/hakmem.h"}, set(), "the public interface is defined here"),
    ("base/track.h", {"valgrind/memcheck.h"}, set(), "requests to memcheck: instructions, and no calls"),
    ("os", {"hakmem/misuse.h"}, set(), "the public description of misuse, which the report is made from"),
    ("page_arena", {"hakmem/misuse.h"}, set(), "the states of blocks"),
    ("api/libc_override.c", {"malloc.h", "stdio.h"}, {"fprintf"}, "struct mallinfo; malloc_info writes to a FILE"),
    ("api/cxx_operators.c", set(),
     {"_ZNSt9bad_allocD1Ev", "_ZSt15get_new_handlerv", "_ZTISt9bad_alloc", "_ZTVSt9bad_alloc",
      "_ZNSt13bad_exceptionD1Ev", "_ZTISt13bad_exception", "_ZTVSt13bad_exception",
      "__cxa_allocate_exception", "__cxa_throw"}, "operator new throws; weak references to the C++ library"),
]

MAX_LINES = 500
SPDX = "// SPDX-License-Identifier: Apache-2.0"

# Every variant is compiled: a call may be there in one of them only.
CHECKS_LEVELS = [0, 1, 2]
# Not optimised, so that no call is inlined away.
COMPILE_FLAGS = ["-std=gnu11", "-O0", "-fno-pie", "-fno-stack-protector", "-fexceptions", "-w", "-D_GNU_SOURCE",
                 "-U_FORTIFY_SOURCE"]
# The standard names are aliases, which must be in one object with the functions they stand for: so the layer that holds
# them is compiled once more as a whole. Then a call of malloc from below is a call of this layer.
OVERRIDE_LAYER = "api"
OVERRIDE_FLAGS = ["-DHAK_OVERRIDE_MALLOC=1"]

# --- The tree --------------------------------------------------------------------------------------------------------

SOURCE_SUFFIXES = (".c", ".h", ".def", ".inc")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


class Source:
    """One file of a layer: path is relative to allocator/, for example os/lock.h."""

    def __init__(self, root, path):
        self.path = path
        self.layer = path.split("/")[0]
        self.file = os.path.join(root, "allocator", path)
        self.flags = []
        with open(self.file, encoding="utf-8") as text:
            self.text = text.read()
        self.includes = [(quote == "<", name) for quote, name in INCLUDE.findall(self.text)]


class WholeLayer:
    """A source that includes every .c file of a layer."""

    def __init__(self, layer, sources, directory):
        self.layer, self.path, self.flags = layer, layer + "/*.c", OVERRIDE_FLAGS
        self.file = os.path.join(directory, layer + "_whole.c")
        self.text = "".join('#include "allocator/%s"\n' % s.path for s in sources
                            if s.layer == layer and s.path.endswith(".c"))
        with open(self.file, "w", encoding="utf-8") as output:
            output.write(self.text)


def layer_sources(root):
    sources = []
    for layer in LAYERS:
        for directory, _, names in sorted(os.walk(os.path.join(root, "allocator", layer))):
            for name in sorted(names):
                if name.endswith(SOURCE_SUFFIXES):
                    path = os.path.relpath(os.path.join(directory, name), os.path.join(root, "allocator"))
                    sources.append(Source(root, path))
    return sources


def applies_to(rule, source):
    """Whether a rule for a layer or a file is one for this file."""
    return rule in (source.layer, source.path) or (isinstance(source, WholeLayer) and rule.startswith(source.layer + "/"))


def skips_of(source):
    return [header for rule, header, _ in SKIPS if applies_to(rule, source)]


def is_below(upper, lower):
    """Whether a layer may use any header and symbol of another."""
    distance = LAYERS.index(lower) - LAYERS.index(upper)
    return distance in (0, 1) or (distance > 0 and lower in COMMON_LAYERS)


def direction(upper, lower):
    return "upwards" if LAYERS.index(lower) < LAYERS.index(upper) else "over a layer that lies between"


# --- Includes --------------------------------------------------------------------------------------------------------


def check_include(source, is_system, name):
    where = "allocator/%s: " % source.path
    if any(name in headers for rule, headers, _, _ in EXCEPTIONS if applies_to(rule, source)):
        return None
    if is_system:
        if source.layer == SYSTEM_LAYER or name in FREE_HEADERS:
            return None
        return where + "layer %s includes the system header <%s>; only layer %s may" % (source.layer, name, SYSTEM_LAYER)
    if name == "hakmem/prefix.h":
        return None
    parts = name.split("/")
    if parts[0] != "allocator" or len(parts) < 3 or parts[1] not in LAYERS:
        return where + 'layer %s includes "%s", which belongs to no layer' % (source.layer, name)
    if name.endswith(".c"):
        return where + 'includes "%s"; only all_in_one.c includes .c files' % name
    target, header = parts[1], "/".join(parts[1:])
    if is_below(source.layer, target) or header in skips_of(source):
        return None
    return where + 'layer %s includes "%s" of layer %s, %s' % (source.layer, name, target, direction(source.layer, target))


def include_cycles(sources):
    """Every include that closes a cycle, with the cycle."""
    graph = {"allocator/" + s.path: [name for system, name in s.includes if not system] for s in sources}
    problems, state, stack = [], {}, []

    def visit(name):
        state[name] = "open"
        stack.append(name)
        for other in graph.get(name, []):
            if state.get(other) == "open":
                cycle = stack[stack.index(other):] + [other]
                problems.append("%s: includes go round in a circle: %s" % (name, " -> ".join(cycle)))
            elif other in graph and other not in state:
                visit(other)
        stack.pop()
        state[name] = "done"

    for name in graph:
        if name not in state:
            visit(name)
    return problems


# --- Symbols ---------------------------------------------------------------------------------------------------------


class Object:
    def __init__(self, source, level):
        self.source, self.level = source, level
        self.defined, self.undefined, self.error = set(), set(), None


def compile_object(root, compiler, item, output):
    command = [compiler] + COMPILE_FLAGS + item.source.flags + [
        "-DHAK_CHECKS_LEVEL=%d" % item.level, "-I", root, "-I", os.path.join(root, "allocator/include"),
        "-c", item.source.file, "-o", output]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, check=False)
    if run.returncode != 0:
        item.error = "allocator/%s: does not compile at checks level %d:\n%s" % (item.source.path, item.level, run.stdout)


def read_symbols(outputs):
    """Fills in the symbols of the objects, a dictionary by file."""
    listing = subprocess.check_output(["nm", "--print-file-name"] + list(outputs), universal_newlines=True)
    for line in listing.splitlines():
        output, _, rest = line.rpartition(":")
        kind, name = rest.split()[-2:]
        if kind in "Uwv":
            outputs[output].undefined.add(name)
        elif kind.isupper():
            outputs[output].defined.add(name)


def compile_all(root, compiler, sources, levels):
    """Compiles every .c at every checks level and reads the symbols of the objects."""
    with tempfile.TemporaryDirectory() as directory:
        compiled = [s for s in sources if s.path.endswith(".c")] + [WholeLayer(OVERRIDE_LAYER, sources, directory)]
        items = [Object(source, level) for source in compiled for level in levels]
        outputs = {os.path.join(directory, "%d.o" % number): item for number, item in enumerate(items)}
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda pair: compile_object(root, compiler, pair[1], pair[0]), outputs.items()))
        good = {output: item for output, item in outputs.items() if not item.error}
        if good:
            read_symbols(good)
    return items


def names_symbol(text, symbol):
    return re.search(r"\b%s\b" % re.escape(symbol), text) is not None


def check_symbols(sources, objects):
    problems = []
    home = collections.defaultdict(set)
    for item in objects:
        for symbol in item.defined:
            home[symbol].add(item.source.layer)
    for symbol, layers in sorted(home.items()):
        if len(layers) > 1:
            problems.append("symbol %s is defined in more than one layer: %s" % (symbol, ", ".join(sorted(layers))))
    texts = {source.path: source.text for source in sources}

    reported = set()
    for item in objects:
        layer = item.source.layer
        excepted = set().union(*(symbols for rule, _, symbols, _ in EXCEPTIONS if applies_to(rule, item.source)))
        for symbol in sorted(item.undefined):
            if isinstance(item.source, WholeLayer) and (layer, symbol) in reported:
                continue  # by the file that refers to it
            where = "allocator/%s: layer %s refers to %s" % (item.source.path, layer, symbol)
            if symbol not in home:
                if layer != SYSTEM_LAYER and symbol not in FREE_SYMBOLS | excepted:
                    reported.add((layer, symbol))
                    problems.append("%s, which no layer defines; only layer %s may use the C library" % (
                        where, SYSTEM_LAYER))
                continue
            for target in sorted(home[symbol]):
                skips = [header for header in skips_of(item.source) if header.startswith(target + "/")]
                if not is_below(layer, target) and not any(names_symbol(texts.get(h, ""), symbol) for h in skips):
                    reported.add((layer, symbol))
                    problems.append("%s of layer %s, %s" % (where, target, direction(layer, target)))
    return problems


# --- Files -----------------------------------------------------------------------------------------------------------


def check_file(source):
    lines = source.text.splitlines()
    where = "allocator/%s: " % source.path
    problems = []
    if not lines or lines[0] != SPDX:
        problems.append(where + "the first line is not '%s'" % SPDX)
    following = [line for line in lines[1:] if line.strip("/ ")]
    if not following or not following[0].startswith("// "):
        problems.append(where + "has no header comment that says what the file is for")
    if len(lines) > MAX_LINES:
        problems.append(where + "has %d lines, more than %d" % (len(lines), MAX_LINES))
    return problems


def check_readme(root, sources):
    """The README lists every permitted skip, and every file of the layers, as in "os/lock.h .c", and no other."""
    try:
        with open(os.path.join(root, "allocator/README.md"), encoding="utf-8") as readme:
            rules, _, files = readme.read().partition("\n## Files\n")
    except FileNotFoundError:
        return ["allocator/README.md: missing"]
    listed = set()
    for stem, suffixes in re.findall(r"^    ([\w/]+)((?: ?\.\w+)+) ", files, re.MULTILINE):
        listed |= {stem + suffix for suffix in suffixes.split()}
    present = {source.path for source in sources}
    problems = ["allocator/README.md: does not say what %s is" % path for path in sorted(present - listed)]
    for path in sorted(listed - present):
        if path.split("/")[0] in LAYERS:
            problems.append("allocator/README.md: lists %s, which does not exist" % path)
    for rule, header, _ in SKIPS:
        if "`%s`" % header not in rules:
            problems.append("allocator/README.md: does not list `%s` among what is permitted to %s" % (header, rule))
    return problems


def check_tree(root, compiler, levels):
    """Returns (problems, number of files, number of objects)."""
    sources = layer_sources(root)
    missing = [layer for layer in LAYERS if not any(s.layer == layer and s.path.endswith(".c") for s in sources)]
    problems = ["allocator/%s: there is no .c file to check" % layer for layer in missing]
    for source in sources:
        problems += check_file(source)
        problems += filter(None, (check_include(source, system, name) for system, name in source.includes))
    problems += include_cycles(sources)
    objects = compile_all(root, compiler, sources, levels)
    problems += [item.error for item in objects if item.error]
    problems += check_symbols(sources, objects)
    problems += check_readme(root, sources)
    return list(dict.fromkeys(problems)), len(sources), len(objects)


def require_program(name, package):
    if shutil.which(name) is None:
        sys.exit("check_layers.py: %s is missing: apt-get install %s" % (name, package))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.realpath(__file__))),
                        help="the directory that holds allocator/ (default: this program's repository)")
    parser.add_argument("--cc", default="gcc", help="the C compiler (default: gcc)")
    parser.add_argument("--levels", default=CHECKS_LEVELS, type=lambda text: [int(level) for level in text.split(",")],
                        help="the checks levels to compile, separated by commas (default: all)")
    arguments = parser.parse_args()
    require_program(arguments.cc, "gcc")
    require_program("nm", "binutils")
    problems, files, objects = check_tree(arguments.root, arguments.cc, arguments.levels)
    for problem in problems:
        print(problem)
    print("check_layers: %d files, %d objects, %d problems" % (files, objects, len(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
