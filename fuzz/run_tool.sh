#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs the Python program in a folder of fuzz/ that has the name of the target whose source this is: //fuzz:bug_bench runs
# seeded/bug_bench.py among its runfiles, which also have the targets' programs.
# -B: nothing is to be written where the modules lie in the source tree.
if ! command -v python3 >/dev/null; then
  echo "$0: python3 is missing: apt-get install python3" >&2
  exit 1
fi
for program in "$0".runfiles/*/fuzz/*/"${0##*/}".py; do
  [ -f "$program" ] && exec python3 -B "$program" "$@"
done
echo "$0: ${0##*/}.py is not among its runfiles" >&2
exit 1
