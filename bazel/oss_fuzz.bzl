# SPDX-License-Identifier: Apache-2.0
"""What OSS-Fuzz's builder says in the environment, for --config=oss-fuzz; elsewhere it says nothing, and the lists are empty.

The variables are those that rules_fuzzing reads. FUZZING_CFLAGS and FUZZING_CXXFLAGS stand for CFLAGS and CXXFLAGS where they
are set.
"""

_BUILD_MODE = "-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION"

_FLAGS = """# SPDX-License-Identifier: Apache-2.0
OSS_FUZZ_COPTS = {copts}
OSS_FUZZ_LINKOPTS = {linkopts}
OSS_FUZZ_ENGINE_LINKOPTS = {engine}
OSS_FUZZ_SANITIZER = {sanitizer}
"""

def _words(*values):
    """The words of the first value that is not empty."""
    for value in values:
        if value:
            return [word for word in value.split(" ") if word]
    return []

def _flags(environment, name):
    # The define is //fuzz/rules:cc_fuzzing_build_mode's affair.
    return [word for word in _words(environment.get("FUZZING_" + name), environment.get(name)) if word != _BUILD_MODE]

def _oss_fuzz_repository_impl(repository_context):
    environment = repository_context.os.environ
    linkopts = _flags(environment, "CXXFLAGS")
    sanitizer = environment.get("SANITIZER", "")
    if sanitizer == "undefined":
        # Bazel links with the C compiler.
        linkopts.append("-fsanitize-link-c++-runtime")
    repository_context.file("WORKSPACE", "workspace(name = \"%s\")\n" % repository_context.name)
    repository_context.file("BUILD.bazel", "")
    repository_context.file("flags.bzl", _FLAGS.format(
        copts = repr(_flags(environment, "CFLAGS")),
        engine = repr(_words(environment.get("LIB_FUZZING_ENGINE"))),
        linkopts = repr(linkopts),
        sanitizer = repr(sanitizer),
    ))

oss_fuzz_repository = repository_rule(
    implementation = _oss_fuzz_repository_impl,
    doc = "flags.bzl with lists of flags.",
    environ = [
        "CFLAGS",
        "CXXFLAGS",
        "FUZZING_CFLAGS",
        "FUZZING_CXXFLAGS",
        "LIB_FUZZING_ENGINE",
        "SANITIZER",
    ],
)
