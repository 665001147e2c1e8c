# SPDX-License-Identifier: Apache-2.0
"""The ways in which the allocator's sources are built.

allocator_library compiles all_in_one.c, which includes every other source: what programs link. allocator_layer compiles
the files of one layer one by one: what unit tests and the layer checker link. Both take the checks level from
//allocator:checks unless they are told one.
"""

load("@rules_cc//cc:defs.bzl", "cc_library")

# In the order of the layers, from the bottom up.
LAYERS = [
    "base",
    "os",
    "page_arena",
    "shared_pool",
    "thread_cache",
    "api",
]

# Bazel puts these after its own flags and after --copt, so they hold in every configuration: an allocator without
# optimisation is of no use, not even in a debugger, and -c opt alone would add a stack protector, frame pointers and
# _FORTIFY_SOURCE to the fast paths. The compiler must not take the allocator's functions for the library's: it would
# turn the body of calloc into a call of calloc.
ALLOCATOR_COPTS = [
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-fexceptions",
    "-fno-builtin-aligned_alloc",
    "-fno-builtin-calloc",
    "-fno-builtin-free",
    "-fno-builtin-malloc",
    "-fno-builtin-realloc",
    "-fvisibility=hidden",
    "-U_FORTIFY_SOURCE",
    "-fno-stack-protector",
] + select({
    "//allocator:compilation_mode_opt": [
        "-O3",
        "-fomit-frame-pointer",
    ],
    "//conditions:default": ["-O2"],
})

# What hak_build_info() cannot ask the compiler for.
_BUILD_INFO = select({
    "//allocator:compilation_mode_opt": ["HAK_BUILD_OPTIMISATION=\\\"-O3\\\""],
    "//conditions:default": ["HAK_BUILD_OPTIMISATION=\\\"-O2\\\""],
}) + select({
    "//allocator:thin_lto": ["HAK_BUILD_LTO=\\\"thin\\\""],
    "//conditions:default": ["HAK_BUILD_LTO=\\\"off\\\""],
})

def _checks_level(level):
    if level != None:
        return ["HAK_CHECKS_LEVEL=%d" % level]
    return select({
        "//allocator:checks_0": ["HAK_CHECKS_LEVEL=0"],
        "//allocator:checks_1": ["HAK_CHECKS_LEVEL=1"],
        "//allocator:checks_2": ["HAK_CHECKS_LEVEL=2"],
        "//allocator:checks_auto_opt": ["HAK_CHECKS_LEVEL=0"],
        "//conditions:default": ["HAK_CHECKS_LEVEL=2"],
    })

def allocator_library(name, level = None, prefix = None, override_malloc = False, weak = False, fake_os = False, **kwargs):
    """The whole allocator from one translation unit.

    Args:
      name: of the cc_library.
      level: 0, 1 or 2; by default what //allocator:checks says.
      prefix: of the public symbols instead of hak_, so that several builds can be linked into one program. Files that use
        such a build are compiled with HAK_PREFIX defined to the same.
      override_malloc: whether malloc, free, operator new and so on are defined too.
      weak: whether the public functions give way to those of another library in the same link.
      fake_os: whether memory comes from os_memory_fake.c, which a test can make fail.
      **kwargs: for the cc_library.
    """
    defines = []
    if prefix:
        defines.append("HAK_PREFIX=" + prefix)
    if override_malloc:
        defines.append("HAK_OVERRIDE_MALLOC=1")
    if weak:
        defines.append("HAK_WEAK_PUBLIC=1")
    if fake_os:
        defines.append("HAK_FAKE_OS=1")
    cc_library(
        name = name,
        srcs = ["all_in_one.c"],
        copts = ALLOCATOR_COPTS,
        # Threads come back to the allocator when they end: a library that contains it must not be unloaded before.
        linkopts = ["-pthread", "-Wl,-z,nodelete"],
        linkstatic = 1,
        local_defines = defines + _checks_level(level) + _BUILD_INFO,
        textual_hdrs = ["//allocator/%s:sources" % layer for layer in LAYERS],
        deps = [":headers"] + (["//allocator/os:os_fake_source"] if fake_os else []),
        **kwargs
    )

def allocator_layer(name, srcs, hdrs, deps = [], **kwargs):
    """Files of one layer, each compiled by itself. Its own checks level holds for whoever includes its headers.

    Args:
      name: of the cc_library.
      srcs: its .c files.
      hdrs: its .h and .def files.
      deps: only layers below this one.
      **kwargs: for the cc_library.
    """
    cc_library(
        name = name,
        srcs = srcs,
        hdrs = hdrs,
        copts = ALLOCATOR_COPTS,
        defines = _checks_level(None) + ["HAK_NO_TRACKING=1"],
        linkopts = ["-pthread"],
        linkstatic = 1,
        local_defines = ["_GNU_SOURCE=1"] + _BUILD_INFO,
        visibility = ["//:__subpackages__"],
        deps = deps,
        **kwargs
    )
