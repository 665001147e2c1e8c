# SPDX-License-Identifier: Apache-2.0
"""What the fuzz targets are made from, as lines that a shell script can read: for builds without Bazel.

    compile OBJECT SOURCE FLAG ...         a source, with the flags that its library has of its own
    link NAME FLAG ... OBJECT ...          a fuzz target, to which the engine is to be added
    corpus NAME DIRECTORY ...              where its seeds lie; not all of them exist
    dictionary NAME FILE ...
    options NAME FILE

Paths are those of the repository. Flags of the command line, which say how to instrument, are not in it.
"""

load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load("//fuzz/rules:binary.bzl", "FuzzingBinaryInfo")

_SourcesInfo = provider(
    doc = "What is found at and below a target.",
    fields = {
        "compile": "depset of lines",
        "corpus": "depset of directories",
        "dictionary": "depset of files",
        "flags": "depset of flags for whoever includes its headers",
        "linkopts": "depset of flags",
        "objects": "depset of names",
    },
)

# The engine has libraries of its own, which none of these leads to.
_EDGES = ["binary", "corpus", "deps", "dictionary"]

def _attribute(context, name, default):
    return getattr(context.rule.attr, name, None) or default

def _below(context):
    found = []
    for edge in _EDGES:
        value = _attribute(context, edge, [])
        for target in value if type(value) == "list" else [value]:
            if _SourcesInfo in target:
                found.append(target[_SourcesInfo])
    return found

def _compile_lines(target, context, flags):
    defines = target[CcInfo].compilation_context.defines.to_list() if CcInfo in target else []
    words = _attribute(context, "copts", [])
    words = words + ["-D" + define for define in defines + _attribute(context, "local_defines", [])]
    words = words + flags
    lines = {}
    for source in context.rule.files.srcs:
        if source.extension == "c":
            name = "%s/%s/%s.o" % (target.label.package, target.label.name, source.basename[:-len(".c")])
            lines[name] = " ".join(["compile", name, source.short_path] + words)
    return lines

def _sources_aspect_impl(target, context):
    below = _below(context)
    flags = depset(
        ["-I%s/%s" % (target.label.package, directory) for directory in _attribute(context, "includes", [])],
        transitive = [one.flags for one in below],
    )
    lines, corpus, dictionary = {}, [], []
    if context.rule.kind in ["cc_binary", "cc_library"]:
        lines = _compile_lines(target, context, flags.to_list())
    elif context.rule.kind == "fuzzing_corpus":
        corpus = {file.dirname: None for file in context.rule.files.srcs}.keys()
    elif context.rule.kind == "fuzzing_dictionary":
        dictionary = [file.short_path for file in context.rule.files.dicts]
    return [_SourcesInfo(
        compile = depset(lines.values(), transitive = [one.compile for one in below]),
        corpus = depset(corpus, transitive = [one.corpus for one in below]),
        dictionary = depset(dictionary, transitive = [one.dictionary for one in below]),
        flags = flags,
        linkopts = depset(_attribute(context, "linkopts", []), transitive = [one.linkopts for one in below]),
        objects = depset(lines.keys(), transitive = [one.objects for one in below]),
    )]

_sources_aspect = aspect(
    implementation = _sources_aspect_impl,
    attr_aspects = _EDGES,
)

def _name_of(binary):
    return binary.label.name[:-len("_bin")]

def _corpus_roots(binaries):
    """What has a directory with a target's name. The first seed of a kind is no reason for another list."""
    roots = {}
    for binary in binaries:
        for directory in binary[_SourcesInfo].corpus.to_list():
            root, _, name = directory.rpartition("/")
            if name != _name_of(binary):
                fail("%s is not called %s" % (directory, _name_of(binary)))
            roots[root] = None
    return sorted(roots.keys())

def _program_lines(binary, corpus_roots):
    sources, name = binary[_SourcesInfo], _name_of(binary)
    lines = [" ".join(["link", name] + sources.linkopts.to_list() + sources.objects.to_list())]
    lines.append(" ".join(["corpus", name] + [root + "/" + name for root in corpus_roots]))
    if sources.dictionary:
        lines.append(" ".join(["dictionary", name] + sources.dictionary.to_list()))
    options = binary[FuzzingBinaryInfo].options
    if options:
        lines.append("options %s %s" % (name, options.short_path))
    return lines

def _fuzzing_programs_impl(context):
    compile = depset(transitive = [binary[_SourcesInfo].compile for binary in context.attr.binaries])
    lines = sorted(compile.to_list())
    corpus_roots = _corpus_roots(context.attr.binaries)
    for binary in context.attr.binaries:
        lines += _program_lines(binary, corpus_roots)
    output = context.actions.declare_file(context.label.name + ".txt")
    context.actions.write(output, "\n".join(context.attr.header + lines) + "\n")
    return [DefaultInfo(files = depset([output]), runfiles = context.runfiles(files = [output]))]

# What is chosen by it is not to depend on the command line.
def _fastbuild_transition_impl(_settings, _attr):
    return {"//command_line_option:compilation_mode": "fastbuild"}

_fastbuild_transition = transition(
    implementation = _fastbuild_transition_impl,
    inputs = [],
    outputs = ["//command_line_option:compilation_mode"],
)

fuzzing_programs = rule(
    implementation = _fuzzing_programs_impl,
    doc = "NAME.txt with the lines of all binaries.",
    attrs = {
        "binaries": attr.label_list(
            aspects = [_sources_aspect],
            cfg = _fastbuild_transition,
            mandatory = True,
            providers = [FuzzingBinaryInfo],
        ),
        "header": attr.string_list(),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)
