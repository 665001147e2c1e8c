#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A program that is built for OSS-Fuzz is run there.
echo "fuzz: built for OSS-Fuzz, whose runner is to run it: tools/bazel build NAME_oss_fuzz" >&2
exit 1
