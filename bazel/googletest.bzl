# SPDX-License-Identifier: Apache-2.0
"""GoogleTest: the machine's static libraries, else the machine's sources, else a download.

Debian's libgtest-dev and libgmock-dev have the libraries; linking them takes 3 s where compiling the sources of
Debian's googletest takes 20 to 40 s in every configuration.
"""

_LIBRARIES = ["libgtest.a", "libgtest_main.a", "libgmock.a", "libgmock_main.a"]

_SOURCES = "/usr/src/googletest"

# Debian 12's version.
_URL = "https://github.com/google/googletest/archive/refs/tags/release-1.12.1.tar.gz"
_SHA256 = "81964fe578e9bd7c94dfdb09c8e4d6e6759e19967e397dbea48d1c10e45d0df2"
_STRIP_PREFIX = "googletest-release-1.12.1"

def _library_directory(repository_context):
    if not repository_context.path("/usr/include/gmock/gmock.h").exists:
        return None
    for machine in ["x86_64", "aarch64"]:
        directory = repository_context.path("/usr/lib/%s-linux-gnu" % machine)
        if all([directory.get_child(library).exists for library in _LIBRARIES]):
            return directory
    return None

def _googletest_repository_impl(repository_context):
    name = repository_context.name
    repository_context.file("WORKSPACE", "workspace(name = \"%s\")\n" % name)
    libraries = _library_directory(repository_context)
    if libraries:
        for library in _LIBRARIES:
            repository_context.symlink(libraries.get_child(library), library)
        repository_context.symlink(repository_context.attr._prebuilt, "BUILD.bazel")
        return
    sources = repository_context.path(_SOURCES)
    if sources.exists:
        for directory in ["googletest", "googlemock"]:
            repository_context.symlink(sources.get_child(directory), directory)
    else:
        repository_context.download_and_extract(url = _URL, sha256 = _SHA256, stripPrefix = _STRIP_PREFIX)
        repository_context.delete("BUILD.bazel")
    repository_context.symlink(repository_context.attr._source, "BUILD.bazel")

googletest_repository = repository_rule(
    implementation = _googletest_repository_impl,
    doc = "Targets gtest (with gmock) and gtest_main, which adds a main function.",
    # What is installed may have changed since the last run.
    local = True,
    attrs = {
        "_prebuilt": attr.label(
            default = "//bazel:googletest_prebuilt.BUILD.bazel",
            allow_single_file = True,
        ),
        "_source": attr.label(
            default = "//bazel:googletest_source.BUILD.bazel",
            allow_single_file = True,
        ),
    },
)
