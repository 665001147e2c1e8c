#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a Python script of this folder with Debian's python3: run.sh SCRIPT ARGUMENTS...
if [ ! -x /usr/bin/python3 ]; then
  echo "/usr/bin/python3 is missing: install Debian's package python3" >&2
  exit 1
fi
unset LD_PRELOAD HAKMEM_OPTIONS
exec /usr/bin/python3 -B -s -E "$@"
