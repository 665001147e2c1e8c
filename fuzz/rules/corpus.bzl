# SPDX-License-Identifier: Apache-2.0
"""The files beside a fuzzing binary: the seed corpus and the dictionary."""

def _fuzzing_corpus_impl(context):
    directory = context.actions.declare_directory(context.label.name)
    arguments = context.actions.args()
    arguments.add("--package", context.label.package)
    arguments.add_all([directory], before_each = "--output", expand_directories = False)

    # A target that is a directory (another tool may write one) is given as its files.
    arguments.add_all(context.files.srcs)
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")
    context.actions.run(
        executable = context.executable._make_corpus,
        arguments = [arguments],
        inputs = context.files.srcs,
        outputs = [directory],
        mnemonic = "FuzzingCorpus",
        progress_message = "Collecting the corpus %s" % context.label,
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([directory]), runfiles = context.runfiles(files = [directory]))]

fuzzing_corpus = rule(
    implementation = _fuzzing_corpus_impl,
    doc = "One directory with the files of srcs, or with one empty file where there are none.",
    attrs = {
        "srcs": attr.label_list(allow_files = True),
        "_make_corpus": attr.label(
            cfg = "exec",
            default = "//fuzz/rules/tools:make_corpus",
            executable = True,
        ),
    },
)

def _fuzzing_dictionary_impl(context):
    output = context.actions.declare_file(context.attr.output)
    arguments = context.actions.args()
    arguments.add("--output", output)
    arguments.add_all(context.files.dicts)
    context.actions.run(
        executable = context.executable._merge_dictionaries,
        arguments = [arguments],
        inputs = context.files.dicts,
        outputs = [output],
        mnemonic = "FuzzingDictionary",
        progress_message = "Checking the dictionary %s" % context.label,
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([output]), runfiles = context.runfiles(files = [output]))]

fuzzing_dictionary = rule(
    implementation = _fuzzing_dictionary_impl,
    doc = "One dictionary with the entries of several, all of which are checked.",
    attrs = {
        "dicts": attr.label_list(
            allow_files = True,
            mandatory = True,
        ),
        "output": attr.string(mandatory = True),
        "_merge_dictionaries": attr.label(
            cfg = "exec",
            default = "//fuzz/rules/tools:merge_dictionaries",
            executable = True,
        ),
    },
)
