# SPDX-License-Identifier: Apache-2.0
"""The archives of a cc_library as they are linked into a fuzzing binary."""

load("//fuzz/rules:binary.bzl", "fuzzing_transition")

def _instrumented_library_impl(context):
    files = [file for file in context.attr.library[0][DefaultInfo].files.to_list() if file.extension == "a"]
    return [DefaultInfo(files = depset(files), runfiles = context.runfiles(files = files))]

_instrumented_library = rule(
    implementation = _instrumented_library_impl,
    attrs = {
        "engine": attr.string(mandatory = True),
        "instrumentation": attr.string(mandatory = True),
        "library": attr.label(
            cfg = fuzzing_transition,
            mandatory = True,
        ),
        "sanitizer": attr.string(mandatory = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)

def instrumented_library(name, library, engine, tags):
    """With asan and the instrumentation of engine, afl or libfuzzer."""
    _instrumented_library(
        name = name,
        engine = str(Label("//fuzz/rules/engines:" + engine)),
        instrumentation = engine,
        library = library,
        sanitizer = "asan",
        tags = tags,
    )
