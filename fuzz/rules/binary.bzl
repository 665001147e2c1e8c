# SPDX-License-Identifier: Apache-2.0
"""The fuzzing binary: a cc_binary, with all below it built as the flags of //fuzz/rules say.

The flags reach what is linked into a fuzzing binary and nothing else: launchers, custom mutators and all other targets of
the command line are built as they are without.
"""

load("//bazel:settings.bzl", "WordInfo")
load(":engine.bzl", "FuzzingEngineInfo")
load(":settings.bzl", "INSTRUMENTATIONS", "SANITIZERS", "fuzzing_flags")

FuzzingBinaryInfo = provider(
    doc = "A fuzzing binary and all that goes with it.",
    fields = {
        "binary": "the executable",
        "binary_runfiles": "what the executable needs",
        "corpus": "the directory with the seed corpus",
        "has_corpus": "whether there are files of the target's own in it",
        "dictionary": "the file, or None",
        "engine": "FuzzingEngineInfo of what was linked",
        "options": "the file, or None",
        "afl_mutator": "the shared library with a custom mutator of AFL++, or None",
        "instrumentation": "the word of the flag",
        "sanitizer": "the word of the flag",
    },
)

# Absolute, so that they also hold where this repository is not the main one.
_ENGINE = str(Label("//fuzz/rules:cc_engine"))
_INSTRUMENTATION = str(Label("//fuzz/rules:cc_engine_instrumentation"))
_SANITIZER = str(Label("//fuzz/rules:cc_engine_sanitizer"))
_BUILD_MODE = str(Label("//fuzz/rules:cc_fuzzing_build_mode"))

_COPT = "//command_line_option:copt"
_LINKOPT = "//command_line_option:linkopt"
_STRIP = "//command_line_option:strip"

def _fuzzing_transition_impl(settings, attr):
    instrumentation = attr.instrumentation or settings[_INSTRUMENTATION]
    sanitizer = attr.sanitizer or settings[_SANITIZER]
    flags = fuzzing_flags(instrumentation, sanitizer, settings[_BUILD_MODE])
    return {
        _ENGINE: attr.engine or settings[_ENGINE],
        _INSTRUMENTATION: instrumentation,
        _SANITIZER: sanitizer,
        _COPT: settings[_COPT] + flags.copts,
        _LINKOPT: settings[_LINKOPT] + flags.linkopts,
        # Its value cannot be read here in Bazel 4; without -g nothing is there to be stripped.
        _STRIP: "never",
    }

_fuzzing_transition = transition(
    implementation = _fuzzing_transition_impl,
    inputs = [_ENGINE, _INSTRUMENTATION, _SANITIZER, _BUILD_MODE, _COPT, _LINKOPT],
    outputs = [_ENGINE, _INSTRUMENTATION, _SANITIZER, _COPT, _LINKOPT, _STRIP],
)

def _first(target):
    """An attribute with a transition is a list of the targets it leads to, here always one."""
    return target[0] if type(target) == "list" else target

def _fuzzing_binary_impl(context):
    binary = _first(context.attr.binary)
    executable = context.actions.declare_file(context.label.name)
    context.actions.symlink(
        output = executable,
        target_file = binary[DefaultInfo].files_to_run.executable,
        is_executable = True,
    )
    corpus = context.file.corpus
    beside = [file for file in [corpus, context.file.dictionary, context.file.options] if file]
    return [
        DefaultInfo(
            executable = executable,
            files = depset([executable]),
            runfiles = context.runfiles(files = [executable] + beside).merge(binary[DefaultInfo].default_runfiles),
        ),
        FuzzingBinaryInfo(
            binary = executable,
            binary_runfiles = binary[DefaultInfo].default_runfiles,
            corpus = corpus,
            has_corpus = context.attr.has_corpus,
            dictionary = context.file.dictionary,
            engine = _first(context.attr.cc_engine)[FuzzingEngineInfo],
            options = context.file.options,
            afl_mutator = context.file.afl_mutator,
            instrumentation = _first(context.attr._instrumentation)[WordInfo].value,
            sanitizer = _first(context.attr._sanitizer)[WordInfo].value,
        ),
        coverage_common.instrumented_files_info(context, dependency_attributes = ["binary"]),
    ]

fuzzing_binary = rule(
    implementation = _fuzzing_binary_impl,
    executable = True,
    attrs = {
        "afl_mutator": attr.label(allow_single_file = [".so"]),
        "binary": attr.label(
            cfg = _fuzzing_transition,
            mandatory = True,
        ),
        # What was linked to the binary.
        "cc_engine": attr.label(
            cfg = _fuzzing_transition,
            mandatory = True,
            providers = [FuzzingEngineInfo],
        ),
        "corpus": attr.label(
            allow_single_file = True,
            mandatory = True,
        ),
        "dictionary": attr.label(allow_single_file = True),
        # Instead of what the command line says, where they are given.
        "engine": attr.string(),
        "has_corpus": attr.bool(),
        "instrumentation": attr.string(values = [""] + INSTRUMENTATIONS),
        "options": attr.label(allow_single_file = [".options"]),
        "sanitizer": attr.string(values = [""] + SANITIZERS),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
        "_instrumentation": attr.label(
            cfg = _fuzzing_transition,
            default = "//fuzz/rules:cc_engine_instrumentation",
        ),
        "_sanitizer": attr.label(
            cfg = _fuzzing_transition,
            default = "//fuzz/rules:cc_engine_sanitizer",
        ),
    },
)
