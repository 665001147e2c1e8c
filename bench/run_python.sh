#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs the Python program that has the name of the target whose source this is: //bench:compare runs compare.py, which
# lies beside the target in a test and below TARGET.runfiles otherwise.
# -B: the modules are read where they lie in the source tree, and nothing is to be written there.
for program in "$0".runfiles/*/bench/"${0##*/}".py "$0".py; do
  [ -f "$program" ] && exec python3 -B "$program" "$@"
done
echo "$0: ${0##*/}.py is not beside it" >&2
exit 1
