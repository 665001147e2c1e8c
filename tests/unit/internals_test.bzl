# SPDX-License-Identifier: Apache-2.0
"""Tests of the allocator's files one by one, linked with the layers they need."""

load("@rules_cc//cc:defs.bzl", "cc_test")
load(":unit_test.bzl", "COPTS")

# In the order in which a linker needs them.
_LAYERS = [
    "api",
    "thread_cache",
    "shared_pool",
    "page_arena",
]

def internals_test(name, layer, srcs = None, memory = "os_fake", **kwargs):
    """A GoogleTest test of one file; it runs at the checks level that is configured.

    Args:
      name: of the test.
      layer: the highest layer that it needs.
      srcs: the test's sources; by default NAME.cc.
      memory: where memory comes from: os_fake, with calls that a test makes fail, or os_memory, the operating system.
      **kwargs: for the cc_test.
    """
    layers = _LAYERS[_LAYERS.index(layer):] if layer in _LAYERS else []
    cc_test(
        name = name,
        srcs = srcs or [name + ".cc"],
        copts = COPTS + kwargs.pop("copts", []),
        linkstatic = 1,
        deps = ["//allocator/%s" % each for each in layers] + [
            "//allocator/os:" + memory,
            "//allocator/os",
            "//allocator/base",
            "//tests/unit:test_support",
            "@com_google_googletest//:gtest_main",
        ],
        **kwargs
    )
