# SPDX-License-Identifier: Apache-2.0
"""A fuzzing engine: the library with the main function, and the program that runs what was linked to it."""

load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")

FuzzingEngineInfo = provider(
    doc = "How a fuzzing engine is run.",
    fields = {
        "display_name": "for people",
        "launcher": "the file that runs a fuzzing binary; README.md says what its environment is",
        "launcher_runfiles": "what it needs",
    },
)

def _cc_fuzzing_engine_impl(context):
    return [
        context.attr.library[CcInfo],
        FuzzingEngineInfo(
            display_name = context.attr.display_name,
            launcher = context.file.launcher,
            launcher_runfiles = context.runfiles(files = [context.file.launcher] + context.files.launcher_data),
        ),
    ]

cc_fuzzing_engine = rule(
    implementation = _cc_fuzzing_engine_impl,
    doc = "A fuzzing engine, for --//fuzz/rules:cc_engine.",
    attrs = {
        "display_name": attr.string(mandatory = True),
        "launcher": attr.label(
            allow_single_file = True,
            mandatory = True,
        ),
        "launcher_data": attr.label_list(allow_files = True),
        "library": attr.label(
            mandatory = True,
            providers = [CcInfo],
        ),
    },
)
