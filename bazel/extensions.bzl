# SPDX-License-Identifier: Apache-2.0
"""What repositories.bzl provides, for MODULE.bazel."""

load(":repositories.bzl", "hakmem_development_repositories")

def _development_impl(_module_context):
    hakmem_development_repositories()

# The repositories that only this repository's own tests and tools need.
development = module_extension(implementation = _development_impl)
