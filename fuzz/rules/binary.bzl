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
        "afl_mutator": "the shared library with a custom mutator of AFL++, or None",
        "binary": "the executable",
        "binary_runfiles": "what the executable needs",
        "corpus": "the directory with the seed corpus",
        "dictionary": "the file, or None",
        "engine": "FuzzingEngineInfo of what was linked",
        "has_corpus": "whether there are files of the target's own in it",
        "options": "the file, or None",
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

    # Those of another config do not go together with an engine that was asked for by name.
    copts, linkopts = ([], []) if attr.engine else (settings[_COPT], settings[_LINKOPT])
    return {
        # Always a string: a Label of the same value would make another configuration with the same output directory.
        _ENGINE: attr.engine or str(settings[_ENGINE]),
        _INSTRUMENTATION: instrumentation,
        _SANITIZER: sanitizer,
        _COPT: copts + flags.copts,
        _LINKOPT: linkopts + flags.linkopts,
        # Its value cannot be read here in Bazel 4; without -g nothing is there to be stripped.
        _STRIP: "never",
    }

fuzzing_transition = transition(
    implementation = _fuzzing_transition_impl,
    inputs = [_ENGINE, _INSTRUMENTATION, _SANITIZER, _BUILD_MODE, _COPT, _LINKOPT],
    outputs = [_ENGINE, _INSTRUMENTATION, _SANITIZER, _COPT, _LINKOPT, _STRIP],
)

def _plain_transition_impl(_settings, _attr):
    return {_COPT: [], _LINKOPT: []}

# afl-fuzz, which loads the mutator, has no sanitizer's runtime.
_plain_transition = transition(
    implementation = _plain_transition_impl,
    inputs = [],
    outputs = [_COPT, _LINKOPT],
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

    # What goes with it is its own or that of another one.
    beside = context.attr.like[FuzzingBinaryInfo] if context.attr.like else struct(
        afl_mutator = context.file.afl_mutator,
        corpus = context.file.corpus,
        dictionary = context.file.dictionary,
        has_corpus = context.attr.has_corpus,
        options = context.file.options,
    )
    files = [file for file in [executable, beside.corpus, beside.dictionary, beside.options] if file]
    return [
        DefaultInfo(
            executable = executable,
            files = depset([executable]),
            runfiles = context.runfiles(files = files).merge(binary[DefaultInfo].default_runfiles),
        ),
        FuzzingBinaryInfo(
            afl_mutator = beside.afl_mutator,
            binary = executable,
            binary_runfiles = binary[DefaultInfo].default_runfiles,
            corpus = beside.corpus,
            dictionary = beside.dictionary,
            engine = _first(context.attr.cc_engine)[FuzzingEngineInfo],
            has_corpus = beside.has_corpus,
            options = beside.options,
            sanitizer = _first(context.attr._sanitizer)[WordInfo].value,
        ),
        coverage_common.instrumented_files_info(context, dependency_attributes = ["binary"]),
    ]

fuzzing_binary = rule(
    implementation = _fuzzing_binary_impl,
    executable = True,
    attrs = {
        "afl_mutator": attr.label(
            allow_single_file = [".so"],
            cfg = _plain_transition,
        ),
        "binary": attr.label(
            cfg = fuzzing_transition,
            mandatory = True,
        ),
        # What was linked to the binary.
        "cc_engine": attr.label(
            cfg = fuzzing_transition,
            mandatory = True,
            providers = [FuzzingEngineInfo],
        ),
        "corpus": attr.label(allow_single_file = True),
        "dictionary": attr.label(allow_single_file = True),
        # Instead of what the command line says, where they are given.
        "engine": attr.string(),
        "has_corpus": attr.bool(),
        "instrumentation": attr.string(values = [""] + INSTRUMENTATIONS),
        "like": attr.label(providers = [FuzzingBinaryInfo]),
        "options": attr.label(allow_single_file = [".options"]),
        "sanitizer": attr.string(values = [""] + SANITIZERS),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
        "_sanitizer": attr.label(
            cfg = fuzzing_transition,
            default = "//fuzz/rules:cc_engine_sanitizer",
        ),
    },
)
