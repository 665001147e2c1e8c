# SPDX-License-Identifier: Apache-2.0
"""What the release builds' malloc and free must be, down to the instruction; fast_path_test.py calls this.

A build is a shared library or a program with the direct variant in it. Of its malloc and free, every way from the entry
to the return that makes no call is a fast path. Each must keep the rules of check_path and be, instruction kind by
instruction kind, what the table fast_path.x86_64.txt says for that function, link form and compiler.
"""

import collections
import difflib
import re

import machine_code

LIMITS = {"malloc": 16, "free": 18}
# The Box is called by functions of this name only, see allocator/thread_cache/box.h.
BOX_FUNCTION = re.compile(r"(^|_)box_(check_)?(push|pop|free)")
BUILD_INFO = re.compile(rb"hakmem [0-9.]+ variant=(\w+) checks=(\d) compiler=(\w+)-(\d+)[0-9.]* [ -~]*")

TABLE_HEAD = """\
# SPDX-License-Identifier: Apache-2.0
#
# The fast paths of the release builds on x86-64, instruction kind by instruction kind: every way through malloc and free
# that makes no call. machine_code.py says what the kinds mean. Written by
#
#   bazel run //tests/golden:fast_path_test -- --update
#
# and compared by the test. A difference that you did not mean to make is a slower allocator.
"""


def build_compiler(path):
    """The compiler of a build, as in "clang 19"; an error if the build is not of the direct variant."""
    with open(path, "rb") as build:
        match = BUILD_INFO.search(build.read())
    if match is None:
        raise machine_code.CodeError("%s: no text like that of hak_build_info()" % path)
    variant, checks, compiler, major = (group.decode() for group in match.groups())
    if (variant, checks) != ("direct", "0"):
        raise machine_code.CodeError("%s: variant=%s checks=%s, not a release build" % (path, variant, checks))
    return "%s %s" % (compiler, major)


def is_push_or_pop(walk):
    """Whether the path does the function's work: an early return writes nothing."""
    return any(access.written for access in walk.accesses)


def find(accesses, **wanted):
    return [a for a in accesses if all(getattr(a, name) == value for name, value in wanted.items())]


def is_loaded_by(value, load):
    """Whether a value is what an access has read, unchanged."""
    return value == machine_code.atom_of("load", load.space, load.place, load.index, load.width)


def check_head(walk, problems):
    """The head of the list: where it is read, and where it is written last. None if there is no such place."""
    stores = [a for a in find(walk.accesses, space="tls", written=True, width="qword") if not a.read]
    if len(stores) != 1:
        problems.append("writes %d pointers to the thread's data, not one: the head" % len(stores))
        return None, None
    store = stores[0]
    loads = [a for a in find(walk.accesses, space="tls", place=store.place, read=True) if a.index < store.index]
    if len(loads) != 1:
        problems.append("reads the head %d times, not once, before it writes it" % len(loads))
        return None, None
    return loads[0], store


def check_count(walk, store, problems):
    """The count of the list: another place in the thread's data that is read and written, with a branch or not."""
    counts = [a for a in find(walk.accesses, space="tls", written=True) if a.place != store.place]
    places = {a.place for a in counts}
    if len(counts) != 1 or not any(a.read for a in walk.accesses if a.place in places):
        problems.append("writes %d counts to the thread's data, not one that it has read" % len(counts))
        return None
    return counts[0]


def check_writes(walk, allowed, problems):
    extra = [walk.kinds[a.index] for a in walk.accesses if a.written and a not in allowed]
    if extra:
        problems.append("writes more than it must: %s" % "; ".join(extra))


def check_free(walk):
    """Load head, store next, store head, with the header store and the count with its branch, and no other write."""
    problems = []
    load, store = check_head(walk, problems)
    if store is None:
        return problems
    links = find(walk.accesses, space="block", offset=0, written=True, width="qword")
    headers = find(walk.accesses, space="block", offset=-1, written=True, width="byte")
    if store.value != machine_code.ARGUMENT:
        problems.append("does not store the block as the head")
    if len(links) != 1 or not is_loaded_by(links[0].value, load):
        problems.append("does not store the old head as the block's next, once")
    elif not load.index < links[0].index < store.index:
        problems.append("the order is not: load head, store next, store head")
    if len(headers) != 1:
        problems.append("stores the header %d times, not once" % len(headers))
    count = check_count(walk, store, problems)
    if count and not any(kind.endswith("taken") for kind in walk.kinds[count.index:]):
        problems.append("no branch follows the count")
    check_writes(walk, links + headers + [store, count], problems)
    return problems


def check_malloc(walk):
    """Load head, load its next, store that as the head, with the count, and no other write."""
    problems = []
    load, store = check_head(walk, problems)
    if store is None:
        return problems
    links = find(walk.accesses, space="block", offset=0, read=True, width="qword")
    if len(links) != 1 or not load.index < links[0].index < store.index:
        problems.append("the order is not: load head, load next, store head")
    if not is_loaded_by(walk.values.get("rax"), load):
        problems.append("does not return the old head")
    check_writes(walk, [store, check_count(walk, store, problems)], problems)
    return problems


def check_path(function, walk):
    problems = {"malloc": check_malloc, "free": check_free}[function](walk)
    if len(walk.kinds) > LIMITS[function]:
        problems.append("%d instructions from entry to return, more than %d" % (len(walk.kinds), LIMITS[function]))
    return problems


def check_function(path, function):
    """Returns (kinds of every fast path, problems)."""
    code, start = machine_code.disassemble(path, function)
    walks = [machine_code.Walk(way, function == "free") for way in machine_code.call_free_paths(code, start)]
    problems = []
    if not any(is_push_or_pop(walk) for walk in walks):
        problems.append("%s: no way to a return that makes no call" % function)
    for walk in filter(is_push_or_pop, walks):
        problems += ["%s: %s" % (function, problem) for problem in check_path(function, walk)]
    return [walk.kinds for walk in walks], problems


def check_names(path):
    """A release build holds no Box. The file must have its symbol table, in which static functions are named too."""
    names = machine_code.symbol_names(path)
    if not {"malloc", "free"} <= names:
        return ["%s: no symbol table to look for the Box in" % path]
    return ["holds the Box function %s" % name for name in sorted(names) if BOX_FUNCTION.search(name)]


def check_build(form, path):
    """Returns ({section title: kinds of every path}, problems) of one build."""
    sections, problems = collections.OrderedDict(), []
    compiler = build_compiler(path)
    for function in LIMITS:
        kinds, found = check_function(path, function)
        sections["%s, %s, %s" % (function, form, compiler)] = kinds
        problems += found
    problems += check_names(path)
    return sections, ["%s, %s: %s" % (form, compiler, problem) for problem in problems]


def table_text(sections):
    lines = [TABLE_HEAD]
    for title, paths in sections.items():
        for number, kinds in enumerate(paths, 1):
            way = ", way %d of %d" % (number, len(paths)) if len(paths) > 1 else ""
            lines.append("[%s%s] %d instructions" % (title, way, len(kinds)))
            lines += ["  " + kind for kind in kinds] + [""]
    return "\n".join(lines).rstrip("\n") + "\n"


def table_difference(table, sections):
    """Lines of a diff from the committed table to what the builds are; empty if they are the same."""
    return list(difflib.unified_diff(table.splitlines(), table_text(sections).splitlines(), "fast_path.x86_64.txt",
                                     "the builds", n=30, lineterm=""))
