# SPDX-License-Identifier: Apache-2.0
"""Checks the dynamic symbols of libhakmem.so: malloc and its relatives, the C library's own names for them, the C++ operators
new and delete, the functions of hakmem/hakmem.h, and nothing else.

With --control a library is named that lacks or adds names; the check must notice it.
"""

import argparse
import re
import subprocess
import sys

import harness

MALLOC = """malloc calloc realloc reallocarray free aligned_alloc posix_memalign memalign valloc pvalloc malloc_usable_size
free_sized free_aligned_sized malloc_trim mallinfo2"""

LIBC = "__libc_malloc __libc_calloc __libc_realloc __libc_free __libc_memalign __libc_valloc __libc_pvalloc"

# What programs may ask glibc's allocator about itself, or use under an inner name of glibc's: it would answer for a heap that
# nobody uses, or hand out blocks of that one.
ALSO = "mallinfo mallopt malloc_info malloc_stats __posix_memalign __libc_reallocarray"

# GNU ld gives these to each shared library.
LINKER = {"__bss_start", "_edata", "_end"}

# As c++filt prints them. The nothrow forms of new are the C++ library's, which call the throwing ones and catch
# (allocator/api/cxx_operators.c); cxx_operators.cc shows that they work.
OPERATORS = """operator new(unsigned long)
operator new[](unsigned long)
operator new(unsigned long, std::align_val_t)
operator new[](unsigned long, std::align_val_t)
operator delete(void*)
operator delete[](void*)
operator delete(void*, unsigned long)
operator delete[](void*, unsigned long)
operator delete(void*, std::nothrow_t const&)
operator delete[](void*, std::nothrow_t const&)
operator delete(void*, std::align_val_t)
operator delete[](void*, std::align_val_t)
operator delete(void*, unsigned long, std::align_val_t)
operator delete[](void*, unsigned long, std::align_val_t)
operator delete(void*, std::align_val_t, std::nothrow_t const&)
operator delete[](void*, std::align_val_t, std::nothrow_t const&)"""


def names_in_header(path):
    with open(path, encoding="utf-8") as header:
        text = re.sub(r"//.*", "", header.read())
    names = set(re.findall(r"\b(hak_\w+)\s*\(", text))
    if len(names) < 10:
        raise harness.Failure(f"only {len(names)} functions found in {path}: has its form changed?")
    return names


def exported(library):
    output = subprocess.run([harness.installed("/usr/bin/nm"), "-D", "-g", "-C", "--defined-only", library], check=True,
                            capture_output=True, text=True).stdout
    # "address type name"; versioned names carry @VERSION.
    return {line.split(maxsplit=2)[2].split("@")[0] for line in output.splitlines()} - LINKER


def differences(library, header):
    expected = set(MALLOC.split()) | set(LIBC.split()) | set(ALSO.split()) | set(OPERATORS.splitlines())
    expected |= names_in_header(header)
    found = exported(library)
    return [f"missing: {name}" for name in sorted(expected - found)] + [
        f"not to be exported: {name}" for name in sorted(found - expected)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--control", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--header", required=True, metavar="PATH", help="hakmem/hakmem.h")
    arguments = parser.parse_args()
    header = harness.absolute(arguments.header)
    libraries = harness.named_files(arguments.library)
    if not libraries:
        raise harness.Failure("no --library given: nothing to test")
    for name, library in libraries:
        found = differences(library, header)
        if found:
            raise harness.Failure(f"{library} exports other names than it should:\n" + "\n".join(found))
        print(f"{name}: {len(exported(library))} names, as expected")
    for name, library in harness.named_files(arguments.control):
        if not differences(library, header):
            raise harness.Failure(f"the broken library {name} was not noticed")
    print("passed")


if __name__ == "__main__":
    try:
        main()
    except harness.Failure as failure:
        sys.exit(f"FAILED: {failure}")
