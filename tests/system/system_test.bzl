# SPDX-License-Identifier: Apache-2.0
"""Macros for system tests. Each is an sh_test that runs one of the Python scripts of this folder with Debian's python3."""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load("@rules_shell//shell:sh_test.bzl", "sh_test")
load("//bazel:release.bzl", "release_binary")

# The libraries to preload: the release build, and the one of the configuration in use (by default the Box).
LIBRARIES = {
    "release": ":libhakmem_release.so",
    "configured": "//:libhakmem.so",
}

# Tags of everything here: a sanitizer's own malloc and hakmem's exclude each other.
TAGS = [
    "system",
    "no-asan",
    "no-tsan",
]

def _options(flag, targets):
    """--flag NAME=PATH for a dictionary from names to targets."""
    arguments = []
    for name, target in targets.items():
        arguments += ["--" + flag, "%s=$(rootpath %s)" % (name, target)]
    return arguments

def _controls(controls):
    return {control: "//tests/system/broken:%s.so" % control for control in controls}

def script_test(name, script, args = [], libraries = LIBRARIES, controls = [], data = [], which_malloc = True, **kwargs):
    """Runs script with the libraries and with the broken ones named in controls (see broken/broken.c)."""
    controls = _controls(controls)
    if which_malloc:
        args = args + ["--which-malloc", "$(rootpath :which_malloc)"]
        data = data + [":which_malloc"]
    sh_test(
        name = name,
        timeout = "long",
        srcs = ["run.sh"],
        args = ["$(rootpath %s)" % script] + args + _options("library", libraries) + _options("control", controls),
        data = [script, ":python_sources"] + data + libraries.values() + controls.values(),
        tags = TAGS,
        **kwargs
    )

def compare_test(name, scenario, controls, files = {}, args = [], data = [], **kwargs):
    """Compares what the programs of programs/<scenario>.py print without and with each library preloaded."""
    script_test(
        name = name,
        script = "compare_test.py",
        args = [scenario] + _options("file", files) + args,
        controls = controls,
        data = files.values() + data,
        **kwargs
    )

def small_program(name, srcs, shared_library = [], static_library = []):
    """The program <name>, to preload libraries into; and linked with //:malloc: <name>_dynamic, _static, _static_release.

    A library that it needs is given in two forms. -fno-builtin: the compiler would leave out pairs of malloc and free.
    """
    srcs = srcs + ["small/check.h"]
    common = dict(
        copts = [
            "-Wall",
            "-Wextra",
            "-fno-builtin",
        ],
        tags = TAGS,
        testonly = True,
    )
    link = ["-pthread", "-ldl"]
    cc_binary(name = name, srcs = srcs + shared_library, linkopts = link, **common)
    cc_binary(name = name + "_dynamic", srcs = srcs + shared_library, linkopts = link, malloc = "//:malloc", **common)
    cc_binary(
        name = name + "_static",
        srcs = srcs,
        deps = static_library,
        features = ["fully_static_link"],
        linkopts = link + ["-static"],
        malloc = "//:malloc",
        **common
    )
    release_binary(
        name = name + "_static_release",
        testonly = True,
        binary = ":" + name + "_static",
        tags = TAGS,
    )

def small_test(name, program, modes = [], linked = [], controls = [], files = {}, args = [], **kwargs):
    """Runs a small_program with each library preloaded, and linked in the given ways; each time once per mode."""
    linked = {way: "%s_%s" % (program, way) for way in linked}
    for mode in modes:
        # A test's arguments are split as a shell would.
        args = args + ["--mode", "'%s'" % mode]
    script_test(
        name = name,
        script = "small_test.py",
        args = ["--program", "$(rootpath %s)" % program] + args + _options("linked", linked) + _options("file", files),
        controls = controls,
        data = [program] + linked.values() + files.values(),
        **kwargs
    )
