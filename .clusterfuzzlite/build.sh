#!/bin/bash -eu
# SPDX-License-Identifier: Apache-2.0
#
# As OSS-Fuzz builds.
exec bash -eux "$SRC/hakmem/fuzz/oss-fuzz/build.sh"
