#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the names that hakmem's libraries bring into a program.

libhakmem.so exports what exported_names.txt lists and the public interface, no more and no less, and needs the C library
alone. Every function of hakmem.h is renamed by prefix.h. An archive that was built with a prefix defines the public
interface under it, and nothing else, so that two builds can be linked into one program.

Bazel passes --library=FILE and, for every prefix, PREFIX=FILES, which are separated by spaces.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
INCLUDE = os.path.join(HERE, "../../allocator/include/hakmem")
# Reads the bitcode of ThinLTO too, which binutils' nm does not.
NM = "llvm-nm-19"
LIBRARY, ARCHIVES = None, []

# What sanitizers, coverage and exception handling add to every object.
COMPILER_NAMES = re.compile(r"(___?asan|__tsan|__ubsan|__sanitizer|__odr_asan|asan\.|__llvm|__profd?_|__covrec|DW\.ref\.)")


def read(path):
    with open(path, encoding="utf-8") as source:
        return source.read()


def public_functions(header):
    """The functions that hakmem.h declares."""
    code = re.sub(r"//.*", "", header)
    return set(re.findall(r"\b(hak_\w+)\s*\(", code))


def renamed_functions(prefix_header):
    return dict(re.findall(r"^#define (hak_\w+) HAK_PREFIXED\((\w+)\)$", prefix_header, re.MULTILINE))


def nm(path, *options):
    output = subprocess.check_output([NM, "--format=just-symbols"] + list(options) + [path], universal_newlines=True)
    return {line.split("@")[0] for line in output.splitlines() if line and not line.endswith(":")}


def exported_names(path):
    return nm(path, "--dynamic", "--defined-only")


def global_names(archive):
    return {name for name in nm(archive, "--extern-only", "--defined-only") if not COMPILER_NAMES.match(name)}


def wanted_exports(table, header):
    listed = [line for line in table.splitlines() if line and not line.startswith("#")]
    assert len(listed) == len(set(listed)), "a name is listed twice"
    return set(listed) | public_functions(header)


def prefixed(functions, prefix):
    return {prefix + name[len("hak_"):] for name in functions}


class Symbols(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.header = read(os.path.join(INCLUDE, "hakmem.h"))
        self.functions = public_functions(self.header)

    def test_header_is_understood(self):
        self.assertLessEqual({"hak_malloc", "hak_free", "hak_build_info"}, self.functions)
        self.assertEqual(public_functions("// hak_a(1)\nint hak_b(void);\nvoid *hak_c (int); struct hak_d { int e; };"),
                         {"hak_b", "hak_c"})

    def test_exports(self):
        wanted = wanted_exports(read(os.path.join(HERE, "exported_names.txt")), self.header)
        exported = exported_names(LIBRARY)
        self.assertEqual(sorted(exported - wanted), [], "exported, but in neither exported_names.txt nor hakmem.h")
        self.assertEqual(sorted(wanted - exported), [], "not exported")

    def test_library_needs_the_c_library_alone(self):
        dynamic = subprocess.check_output(["readelf", "--dynamic", "--wide", LIBRARY], universal_newlines=True)
        self.assertEqual(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic), ["libc.so.6"])
        self.assertNotIn("__tls_get_addr", nm(LIBRARY, "--dynamic", "--undefined-only"),
                         "thread-local data is reached through a call, which may allocate")

    def test_prefix_header(self):
        renamed = renamed_functions(read(os.path.join(INCLUDE, "prefix.h")))
        self.assertEqual(sorted(self.functions - set(renamed)), [], "missing in prefix.h")
        self.assertEqual(sorted(set(renamed) - self.functions), [], "in prefix.h, but not in hakmem.h")
        self.assertEqual({name: "hak_" + bare for name, bare in renamed.items()}, {name: name for name in renamed})

    def test_archives(self):
        self.assertEqual({prefix for prefix, _ in ARCHIVES}, {"hak_", "hak_direct_", "hak_checked_", "hak_box_"})
        for prefix, path in ARCHIVES:
            with self.subTest(archive=path):
                wanted, defined = prefixed(self.functions, prefix), global_names(path)
                self.assertEqual(sorted(defined - wanted), [], "defined, but not in hakmem.h")
                self.assertEqual(sorted(wanted - defined), [], "not defined")


class SeededFaults(unittest.TestCase):
    """The readers above, on a library with names that are too many and too few."""

    def test_names_are_seen(self):
        with tempfile.TemporaryDirectory() as directory:
            source, library, archive = (os.path.join(directory, name) for name in ("a.c", "a.so", "a.a"))
            with open(source, "w", encoding="ascii") as output:
                output.write("int hak_x_malloc(void) { return 0; } int stray; __attribute__((weak)) void weak(void) {}\n"
                             "static __attribute__((used)) int own; __thread int thread_local_data;\n")
            subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", library], check=True)
            subprocess.run(["gcc", "-c", "-fPIC", source, "-o", source + ".o"], check=True)
            subprocess.run(["ar", "rc", archive, source + ".o"], check=True)
            names = {"hak_x_malloc", "stray", "weak", "thread_local_data"}
            self.assertEqual(exported_names(library), names)
            self.assertEqual(global_names(archive), names)
        self.assertEqual(prefixed({"hak_malloc"}, "hak_x_"), {"hak_x_malloc"})

    def test_function_without_a_prefix_is_seen(self):
        header = "int hak_new(void);\n"
        self.assertEqual(public_functions(header) - set(renamed_functions("#define hak_old HAK_PREFIXED(old)\n")),
                         {"hak_new"})


def main():
    global LIBRARY
    arguments = []
    for argument in sys.argv[1:]:
        if argument.startswith("--library="):
            LIBRARY = argument.split("=", 1)[1]
        elif "=" in argument and not argument.startswith("-"):
            prefix, files = argument.split("=", 1)
            ARCHIVES.extend((prefix, path) for path in files.split())
        else:
            arguments.append(argument)
    for program, package in ((NM, "llvm-19"), ("readelf", "binutils"), ("ar", "binutils"), ("gcc", "gcc")):
        if shutil.which(program) is None:
            sys.exit("%s is missing: apt-get install %s" % (program, package))
    unittest.main(argv=sys.argv[:1] + arguments)


if __name__ == "__main__":
    main()
