# SPDX-License-Identifier: Apache-2.0
"""The variants of the allocator that fuzz targets link."""

load("@rules_cc//cc:defs.bzl", "cc_library")
load("//allocator:defs.bzl", "ALLOCATOR_COPTS", "LAYERS")

# Comparisons are not traced: where sizes matter the mutator knows them, and it costs a tenth of the time. AddressSanitizer
# would put its own bytes between the variables that heap_variant.inc puts back as a whole.
_COPTS = [
    "-fno-sanitize-coverage=trace-cmp",
    "-mllvm",
    "-asan-globals=0",
]

# Where threads are scheduled, another one can also come before any access to memory.
_YIELDS_COPTS = ["-fsanitize-coverage=edge,trace-loads,trace-stores"]

def heap_library(name, seeded_bugs = False, yields = False, **kwargs):
    """A variant, from NAME.c.

    Args:
      name: of the variant; with yields the library is NAME_yields, with seeded_bugs NAME_seeded, or NAME_yields_seeded.
      seeded_bugs: whether the bugs of fuzz/seeded are in it, to be switched on one by one.
      yields: whether its threads are scheduled by fuzz/schedule.
      **kwargs: for the cc_library.
    """
    defines = ["HAK_SEEDED_BUG=1"] if seeded_bugs else []
    if yields:
        defines.append("HAK_YIELD_POINTS=1")
    cc_library(
        name = name + ("_yields" if yields else "") + ("_seeded" if seeded_bugs else ""),
        srcs = [name + ".c"],
        copts = ALLOCATOR_COPTS + _COPTS + (_YIELDS_COPTS if yields else []),
        linkopts = ["-pthread"],
        linkstatic = 1,
        local_defines = defines,
        textual_hdrs = [
            "fake_memory.c",
            "heap_structure.inc",
            "heap_variant.inc",
            "//allocator:all_in_one.c",
        ] + ["//allocator/%s:sources" % layer for layer in LAYERS],
        deps = [
            ":heap",
            "//allocator:headers",
        ] + (["//fuzz/schedule"] if yields else []),
        **kwargs
    )
