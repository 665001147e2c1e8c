# SPDX-License-Identifier: Apache-2.0
"""A benchmark: one source, built twice, always as a release."""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load("//bazel:release.bzl", "release_binary")

# Without -fno-builtin-* the compiler may take a malloc and its free out of a loop, or both away.
_COPTS = [
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-fno-builtin-malloc",
    "-fno-builtin-free",
]

def benchmark(name):
    """NAME, with hakmem linked in, and NAME_system, which takes the allocator that LD_PRELOAD says or the system's.

    Both from NAME.c. What they are made of is not for //...: outside of a release nobody needs it.
    """
    for binary, malloc in [(name, "//:malloc"), (name + "_system", "@bazel_tools//tools/cpp:malloc")]:
        cc_binary(
            name = binary + "_main",
            srcs = [name + ".c"],
            copts = _COPTS,
            linkopts = ["-pthread"],
            malloc = malloc,
            tags = ["manual"],
            deps = [":harness"],
        )
        release_binary(
            name = binary,
            binary = ":" + binary + "_main",
            visibility = ["//visibility:public"],
        )
