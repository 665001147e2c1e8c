# SPDX-License-Identifier: Apache-2.0
"""Targets that are release builds whatever the command line says: -c opt, -O3, ThinLTO, checks level 0 unless told otherwise.

    load("//bazel:release.bzl", "release_binary", "release_file")

    cc_binary(name = "larson_main", srcs = ["larson.c"], malloc = "//:malloc")

    release_binary(name = "larson", binary = ":larson_main")

`bazel run --config=asan //bench:larson -- 4` then runs a release build, with the argument 4. The copy of larson_main that
this makes is compiled and linked with everything below it in the release configuration; flags of --config, --copt,
--linkopt and so on do not reach it. release_file is the same for what is not run, such as //:libhakmem.so.

ThinLTO is clang's and is left out where the compiler is another one. The flags are those of --config=release in .bazelrc.
"""

# Absolute, so that it also holds where this repository is not the main one.
_CHECKS = str(Label("//allocator:checks"))

_COPTS = ["-O3", "-fomit-frame-pointer", "-fno-stack-protector"]

def _release_transition_impl(_settings, attr):
    copts = list(_COPTS)
    if attr.thin_lto:
        copts.append("-flto=thin")
        linkopts = ["-flto=thin", "-fuse-ld=lld"]
    else:
        # As in --config=gcc.
        linkopts = ["-Wl,--no-gc-sections"]
    return {
        _CHECKS: attr.checks,
        "//command_line_option:compilation_mode": "opt",
        "//command_line_option:conlyopt": [],
        "//command_line_option:copt": copts,
        "//command_line_option:cxxopt": [],
        "//command_line_option:features": [],
        "//command_line_option:linkopt": linkopts,
        "//command_line_option:platform_suffix": "-release" + ("" if attr.checks == "0" else attr.checks),
        "//command_line_option:strip": "sometimes",
    }

_release_transition = transition(
    implementation = _release_transition_impl,
    inputs = [],
    outputs = [
        _CHECKS,
        "//command_line_option:compilation_mode",
        "//command_line_option:conlyopt",
        "//command_line_option:copt",
        "//command_line_option:cxxopt",
        "//command_line_option:features",
        "//command_line_option:linkopt",
        "//command_line_option:platform_suffix",
        "//command_line_option:strip",
    ],
)

def _link_to(context, target, file, is_executable):
    output = context.actions.declare_file(context.label.name)
    context.actions.symlink(output = output, target_file = file, is_executable = is_executable)
    runfiles = context.runfiles(files = [output]).merge(target[DefaultInfo].default_runfiles)
    return DefaultInfo(
        executable = output if is_executable else None,
        files = depset([output]),
        runfiles = runfiles,
    )

# An attribute with a transition is a list of the targets it leads to, here always one.

def _release_binary_impl(context):
    target = context.attr.binary[0]
    return [_link_to(context, target, target[DefaultInfo].files_to_run.executable, True)]

def _release_file_impl(context):
    target = context.attr.target[0]
    files = target[DefaultInfo].files.to_list()
    if len(files) != 1:
        fail("%s: %s has %d files, not one" % (context.label, target.label, len(files)))
    return [_link_to(context, target, files[0], False)]

_COMMON_ATTRIBUTES = {
    "checks": attr.string(default = "0"),
    "thin_lto": attr.bool(),
    "_allowlist_function_transition": attr.label(
        default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
    ),
}

_release_binary = rule(
    implementation = _release_binary_impl,
    executable = True,
    attrs = dict(
        _COMMON_ATTRIBUTES,
        binary = attr.label(
            cfg = _release_transition,
            mandatory = True,
        ),
    ),
)

_release_file = rule(
    implementation = _release_file_impl,
    attrs = dict(
        _COMMON_ATTRIBUTES,
        target = attr.label(
            cfg = _release_transition,
            mandatory = True,
        ),
    ),
)

_THIN_LTO = {
    "//bazel:clang": True,
    "//conditions:default": False,
}

def release_binary(name, binary, **kwargs):
    """The executable of binary, a label, as a release build."""
    _release_binary(name = name, binary = binary, thin_lto = select(_THIN_LTO), **kwargs)

def release_file(name, target, **kwargs):
    """The one file that target, a label, makes, as a release build."""
    _release_file(name = name, target = target, thin_lto = select(_THIN_LTO), **kwargs)
