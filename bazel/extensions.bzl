# SPDX-License-Identifier: Apache-2.0
"""For MODULE.bazel, what hakmem_development_repositories is for WORKSPACE."""

load(":googletest.bzl", "googletest_repository")
load(":oss_fuzz.bzl", "oss_fuzz_repository")

def _development_impl(_module_context):
    googletest_repository(name = "com_google_googletest")
    oss_fuzz_repository(name = "oss_fuzz")

development = module_extension(implementation = _development_impl)
