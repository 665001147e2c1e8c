#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The command line of print_program: what it refuses, and how it says so.
set -eu
unset BUILD_WORKING_DIRECTORY
printer="$1"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# refuses STATUS TEXT ARGUMENT...
refuses() {
  expected="$1" text="$2"
  shift 2
  status=0
  said="$("$printer" "$@" 2>&1 >"$TEST_TMPDIR/printed")" || status=$?
  [ "$status" = "$expected" ] || fail "$*: status $status"
  case "$said" in *"$text"*) ;; *) fail "$*: says $said" ;; esac
  [ ! -s "$TEST_TMPDIR/printed" ] || fail "$*: prints something"
}

printf '\000\000\000\000\000\000\000\000\000\041\000\001' >"$TEST_TMPDIR/input"
refuses 2 usage:
refuses 2 usage: --c
refuses 2 usage: --target=large
refuses 2 usage: --target=large --c
refuses 2 usage: --c --executed "$TEST_TMPDIR/input"
refuses 2 usage: --other "$TEST_TMPDIR/input"
refuses 2 usage: "$TEST_TMPDIR/input" "$TEST_TMPDIR/input"
refuses 2 'no target "larg"; there are differential faults large misuse options size_class threads' \
  --target=larg "$TEST_TMPDIR/input"
refuses 1 'No such file' "$TEST_TMPDIR/missing"

"$printer" "$TEST_TMPDIR/input" | grep -q '^0 slot 33 = malloc(16)$' || fail "as it lies there"
"$printer" --target=large - <"$TEST_TMPDIR/input" | grep -q '^0 slot 33 = malloc(24592)$' || fail "as large has it"
"$printer" --c --target=large "$TEST_TMPDIR/input" | grep -q '^  slot_malloc(33, 24592);$' || fail "in C"
