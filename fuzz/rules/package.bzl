# SPDX-License-Identifier: Apache-2.0
"""The archive that OSS-Fuzz unpacks into its output directory."""

load(":binary.bzl", "FuzzingBinaryInfo")

def _oss_fuzz_package_impl(context):
    information = context.attr.binary[FuzzingBinaryInfo]
    output = context.actions.declare_file(context.label.name + ".tar")
    arguments = context.actions.args()
    arguments.add("--output", output)
    arguments.add("--name", context.attr.target_name)
    arguments.add("--binary", information.binary)
    inputs = [information.binary]
    if information.has_corpus:
        inputs.append(information.corpus)
        arguments.add_all([information.corpus], before_each = "--corpus", expand_directories = False)
    if information.dictionary:
        inputs.append(information.dictionary)
        arguments.add("--dictionary", information.dictionary)
    if information.options:
        inputs.append(information.options)
        arguments.add("--options", information.options)

    # The executable that the binary is a link to is one of its runfiles.
    executable = context.attr.binary[DefaultInfo].files_to_run.executable
    data = [
        file
        for file in information.binary_runfiles.files.to_list()
        if file.basename != context.attr.raw_name and file != executable
    ]
    inputs += data
    for file in data:
        arguments.add("--runfile=%s=%s" % (context.workspace_name + "/" + file.short_path, file.path))
    context.actions.run(
        executable = context.executable._make_package,
        arguments = [arguments],
        inputs = inputs,
        outputs = [output],
        mnemonic = "FuzzingPackage",
        progress_message = "Packing %s" % output.short_path,
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([output]), runfiles = context.runfiles(files = [output]))]

oss_fuzz_package = rule(
    implementation = _oss_fuzz_package_impl,
    doc = "NAME.tar with the fuzzing binary and, under the names that OSS-Fuzz expects, what goes with it.",
    attrs = {
        "binary": attr.label(
            mandatory = True,
            providers = [FuzzingBinaryInfo],
        ),
        "raw_name": attr.string(mandatory = True),
        "target_name": attr.string(mandatory = True),
        "_make_package": attr.label(
            cfg = "exec",
            default = "//fuzz/rules/tools:make_package",
            executable = True,
        ),
    },
)
