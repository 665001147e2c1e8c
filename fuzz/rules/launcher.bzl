# SPDX-License-Identifier: Apache-2.0
"""Programs that run a fuzzing binary: the regression test and the launcher."""

load(":binary.bzl", "FuzzingBinaryInfo")

# Finds the runfiles when it is started by `bazel run` or `bazel test`, by hand, and as data of another target.
_SCRIPT = """#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
case $0 in
  *.runfiles/*) nested=${{0%%.runfiles/*}}.runfiles ;;
  *) nested=/nonexistent ;;
esac
for runfiles in "$0.runfiles" "$nested" "${{RUNFILES_DIR:-/nonexistent}}" "${{TEST_SRCDIR:-/nonexistent}}" ""; do
  if [ -e "$runfiles/{launcher}" ]; then break; fi
done
if ! [ "$runfiles" ]; then
  echo "$0: its runfiles are missing" >&2
  exit 1
fi
if ! command -v python3 >/dev/null; then
  echo "$0: python3 is missing: apt-get install python3" >&2
  exit 1
fi
case $runfiles in /*) ;; *) runfiles=$PWD/$runfiles ;; esac
# As `bazel run` has it.
export BUILD_WORKING_DIRECTORY="${{BUILD_WORKING_DIRECTORY:-$PWD}}"
cd "$runfiles/{workspace}" || exit 1
exec python3 "$runfiles/{launcher}" {arguments} "$@"
"""

def _quote(word):
    return "'" + word.replace("'", "'\\''") + "'"

def _fuzzing_script(context, is_regression):
    """The providers of a script that runs context.attr.binary."""
    information = context.attr.binary[FuzzingBinaryInfo]
    files = {
        "afl_mutator": information.afl_mutator,
        "binary": information.binary,
        "corpus": information.corpus,
        "dictionary": information.dictionary,
        "engine_launcher": information.engine.launcher,
        "options": information.options,
    }
    arguments = ["--target_name=" + context.attr.target_name, "--sanitizer=" + information.sanitizer]
    arguments += ["--%s=%s" % (name, file.short_path) for name, file in files.items() if file]
    if is_regression:
        arguments.append("--regression")
    script = context.actions.declare_file(context.label.name)
    launcher = context.file._launcher
    context.actions.write(script, _SCRIPT.format(
        arguments = " ".join([_quote(argument) for argument in arguments]),
        launcher = context.workspace_name + "/" + launcher.short_path,
        workspace = context.workspace_name,
    ), is_executable = True)
    runfiles = context.runfiles(files = [launcher] + [file for file in files.values() if file])
    runfiles = runfiles.merge(information.binary_runfiles).merge(information.engine.launcher_runfiles)
    return [
        DefaultInfo(executable = script, runfiles = runfiles),
        coverage_common.instrumented_files_info(context, dependency_attributes = ["binary"]),
    ]

def _fuzzing_launcher_impl(context):
    return _fuzzing_script(context, is_regression = False)

def _fuzzing_regression_test_impl(context):
    return _fuzzing_script(context, is_regression = True)

_ATTRIBUTES = {
    "binary": attr.label(
        mandatory = True,
        providers = [FuzzingBinaryInfo],
    ),
    # The name of the output directory.
    "target_name": attr.string(mandatory = True),
    "_launcher": attr.label(
        allow_single_file = True,
        default = "//fuzz/rules/tools:launcher.py",
    ),
}

fuzzing_launcher = rule(
    implementation = _fuzzing_launcher_impl,
    doc = "Runs the engine until it finds something.",
    attrs = _ATTRIBUTES,
    executable = True,
)

# Bazel 7 downloads the generator, and so it is to be asked for with `bazel coverage` alone; Bazel 4 cannot say that.
_KNOWS_COVERAGE = hasattr(config_common, "toolchain_type")

_COVERAGE_FRAGMENTS = ["coverage"] if _KNOWS_COVERAGE else []

_COVERAGE_GENERATOR = configuration_field(
    fragment = "coverage",
    name = "output_generator",
) if _KNOWS_COVERAGE else "@bazel_tools//tools/test:lcov_merger"

fuzzing_regression_test = rule(
    implementation = _fuzzing_regression_test_impl,
    doc = "Runs every file of the corpus once.",
    attrs = dict(
        _ATTRIBUTES,
        # What makes a report of `bazel coverage` of what the binary did.
        _collect_cc_coverage = attr.label(
            cfg = "exec",
            default = "@bazel_tools//tools/test:collect_cc_coverage",
            executable = True,
        ),
        _lcov_merger = attr.label(
            cfg = "exec",
            default = _COVERAGE_GENERATOR,
            executable = True,
        ),
    ),
    fragments = _COVERAGE_FRAGMENTS,
    test = True,
)
