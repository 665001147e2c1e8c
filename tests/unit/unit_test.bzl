# SPDX-License-Identifier: Apache-2.0
"""Tests of the public interface, each built against several libraries from the same sources."""

load("@rules_cc//cc:defs.bzl", "cc_test")

# By name: the library, its prefix, the checks level that hak_build_info() must tell.
_LIBRARIES = {
    "": ("//allocator:hakmem", None, None),
    "_direct": ("//allocator:hakmem_direct", "hak_direct_", 0),
    "_checked": ("//allocator:hakmem_checked", "hak_checked_", 1),
    "_box": ("//allocator:hakmem_box", "hak_box_", 2),
}

COPTS = [
    "-Wall",
    "-Wextra",
]

# Of api_test: the library at each level.
EVERY_LEVEL = [
    "_direct",
    "_checked",
    "_box",
]

def api_test(name, srcs, variants = ["_direct", "_box"], deps = [], **kwargs):
    """A GoogleTest test of hakmem/hakmem.h: NAME_direct, NAME_box and so on; NAME alone is at the configured level.

    Args:
      name: of the tests; each appends its variant.
      srcs: the test's sources; they say hak_malloc, whatever the prefix of the library.
      variants: which libraries, of "", "_direct", "_checked" and "_box".
      deps: of the test, beside the library and GoogleTest.
      **kwargs: for every cc_test.
    """
    for variant in variants:
        library, prefix, level = _LIBRARIES[variant]
        defines = []
        if prefix:
            defines += ["HAK_PREFIX=" + prefix, "HAK_TEST_EXPECTED_CHECKS=%d" % level]
        cc_test(
            name = name + variant,
            srcs = srcs,
            copts = COPTS,
            linkstatic = 1,
            local_defines = defines,
            deps = deps + [
                library,
                "//tests/unit:test_support",
                "@com_google_googletest//:gtest_main",
            ],
            **kwargs
        )
