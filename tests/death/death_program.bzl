# SPDX-License-Identifier: Apache-2.0
"""The programs of the death tests: every misuse, compiled against one build of hakmem."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library")

# -fno-builtin: the compiler must not know what malloc and free do.
_COPTS = [
    "-Wall",
    "-Wextra",
    "-fno-builtin",
]

def death_program(name, variant, other):
    """cc_binary name with every misuse, calling hak_<variant>_malloc and so on.

    Args:
      name: of the program.
      variant: direct, checked or box.
      other: another one, whose blocks do not belong to the first.
    """
    cc_library(
        name = name + "_other",
        testonly = True,
        srcs = ["other_variant.c"],
        copts = _COPTS,
        local_defines = ["HAK_PREFIX=hak_%s_" % other],
        deps = ["//allocator:hakmem_" + other],
    )
    cc_binary(
        name = name,
        testonly = True,
        srcs = [
            "death_program.c",
            "misuse.h",
        ] + native.glob(["misuses/*.c"]),
        copts = _COPTS,
        # -rdynamic: call stacks name the functions of the program.
        linkopts = [
            "-pthread",
            "-rdynamic",
        ],
        local_defines = [
            "_GNU_SOURCE=1",
            "HAK_PREFIX=hak_%s_" % variant,
        ],
        deps = [
            ":%s_other" % name,
            "//allocator:hakmem_" + variant,
        ],
    )

def operators_program(name, level):
    """cc_binary name with the misuses of operator new and delete: its malloc is hakmem at a level."""
    cc_library(
        name = name + "_malloc",
        testonly = True,
        srcs = ["operators_malloc.c"],
        copts = ["-fno-builtin", "-O2", "-fvisibility=hidden"],
        linkopts = ["-pthread"],
        linkstatic = True,
        local_defines = [
            "HAK_CHECKS_LEVEL=%d" % level,
            "HAK_OVERRIDE_MALLOC=1",
        ],
        textual_hdrs = ["//allocator:sources"],
        deps = ["//allocator:headers"],
        alwayslink = True,
    )
    cc_binary(
        name = name,
        testonly = True,
        srcs = [
            "death_program.c",
            "misuse.h",
        ] + native.glob(["operators/*.cc"]),
        copts = _COPTS + ["-fsized-deallocation", "-Wno-mismatched-new-delete"],
        linkopts = ["-pthread"],
        local_defines = ["_GNU_SOURCE=1"],
        malloc = ":%s_malloc" % name,
    )
