# SPDX-License-Identifier: Apache-2.0
"""The external repositories of a WORKSPACE build, made from what is on the machine.

Bazel up to 4 (Debian 12's bazel-bootstrap is 4.2.3) would download rules_cc, rules_java, rules_shell and the coverage
tools. Its native rules do the same work, so small repositories that pass them on are written here and nothing is fetched.
"""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "maybe")
load(":googletest.bzl", "googletest_repository")
load(":oss_fuzz.bzl", "oss_fuzz_repository")

_RULES_CC = """
cc_binary = native.cc_binary
cc_import = native.cc_import
cc_library = native.cc_library
cc_proto_library = native.cc_proto_library
cc_test = native.cc_test
cc_toolchain = native.cc_toolchain
cc_toolchain_suite = native.cc_toolchain_suite
objc_library = native.objc_library
"""

# A name of Bazel's own cannot be defined in the file that takes it from there.
_RULES_CC_NATIVE_INFO = """
native_cc_info = CcInfo
"""

_RULES_CC_INFO = """
load(":native_cc_info.bzl", "native_cc_info")

CcInfo = native_cc_info
"""

_RULES_JAVA = """
java_binary = native.java_binary
java_import = native.java_import
java_library = native.java_library
java_plugin = native.java_plugin
java_runtime = native.java_runtime
java_test = native.java_test
java_toolchain = native.java_toolchain
"""

# Every test depends on these; without `bazel coverage` they are never run.
_COVERAGE_TOOLS = """
package(default_visibility = ["//visibility:public"])

sh_binary(
    name = "coverage_report_generator",
    srcs = ["merge.sh"],
)

sh_binary(
    name = "lcov_merger",
    srcs = ["merge.sh"],
)
"""

# LLVM writes lcov itself, so that joining the reports of the tests is all there is to do.
_COVERAGE_MERGE = """#!/bin/sh
for argument in "$@"; do
  case $argument in
    --coverage_dir=*) directory=${argument#*=} ;;
    --output_file=*) output=${argument#*=} ;;
    --reports_file=*) reports=${argument#*=} ;;
  esac
done
{
  [ -z "$directory" ] || find "$directory" -name '*.dat' -exec cat {} +
  [ -z "$reports" ] || while read -r report; do cat "$report"; done < "$reports"
} > "$output"
"""

def _written_repository_impl(repository_context):
    name = repository_context.name
    repository_context.file("WORKSPACE", "workspace(name = \"%s\")\n" % name)
    for path, content in repository_context.attr.files.items():
        repository_context.file(path, content, executable = path.endswith(".sh"))

_written_repository = repository_rule(
    implementation = _written_repository_impl,
    doc = "A repository whose files are written out where it is declared.",
    attrs = {"files": attr.string_dict(mandatory = True)},
)

def hakmem_repositories():
    """What a WORKSPACE needs that depends on hakmem."""

    # Debian's builds leave native.bazel_version empty, so the version is told from what it can do.
    if hasattr(config_common, "toolchain_type"):
        return
    maybe(_written_repository, name = "rules_cc", files = {
        "BUILD": "",
        "cc/BUILD": "",
        "cc/common/BUILD": "",
        "cc/common/cc_info.bzl": _RULES_CC_INFO,
        "cc/common/native_cc_info.bzl": _RULES_CC_NATIVE_INFO,
        "cc/defs.bzl": _RULES_CC,
    })
    maybe(_written_repository, name = "rules_java", files = {
        "BUILD": "",
        "java/BUILD": "",
        "java/defs.bzl": _RULES_JAVA,
    })
    maybe(_written_repository, name = "remote_coverage_tools", files = {
        "BUILD": _COVERAGE_TOOLS,
        "merge.sh": _COVERAGE_MERGE,
    })

def hakmem_development_repositories():
    """What this repository's own tests and tools need besides."""

    # Bazel 7 has no repository of this name without modules either; its rules are native as well.
    shell_files = {
        "BUILD": "",
        "shell/BUILD": "",
    }
    for kind in ["binary", "library", "test"]:
        shell_files["shell/sh_%s.bzl" % kind] = "sh_{kind} = native.sh_{kind}\n".format(kind = kind)
    maybe(_written_repository, name = "rules_shell", files = shell_files)
    maybe(googletest_repository, name = "com_google_googletest")
    maybe(oss_fuzz_repository, name = "oss_fuzz")
