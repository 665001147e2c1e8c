#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs libFuzzer with the arguments given; ../README.md says what the environment is.
set -u

# One by one, as it would not say which file of a directory it was that failed.
replay_corpus() {
  log=$(mktemp "${TEST_TMPDIR:-${TMPDIR:-/tmp}}/fuzz.XXXXXX") || exit 1
  find -L "$FUZZER_SEED_CORPUS_DIR" -type f -print0 | sort -z | xargs -0 "$FUZZER_BINARY" "$@" >"$log" 2>&1
  status=$?
  cat "$log" >&2
  if [ $status != 0 ]; then
    echo "fuzz: failed while running $(sed -n 's/^Running: //p' "$log" | tail -n 1)" >&2
  fi
  rm -f "$log"
  exit $status
}

if [ "$FUZZER_IS_REGRESSION" = 1 ]; then replay_corpus "$@"; fi

# The last one of an option holds, so that all of these can be given anew.
set -- "-artifact_prefix=$FUZZER_ARTIFACTS_DIR/" -timeout=25 -print_final_stats=1 ${FUZZER_LIBFUZZER_OPTIONS:-} "$@"
if [ "$FUZZER_TIMEOUT_SECS" != 0 ]; then set -- "$@" "-max_total_time=$FUZZER_TIMEOUT_SECS"; fi
if [ "${FUZZER_DICTIONARY_PATH:-}" ]; then set -- "$@" "-dict=$FUZZER_DICTIONARY_PATH"; fi
exec "$FUZZER_BINARY" "$@" "$FUZZER_OUTPUT_CORPUS_DIR" "$FUZZER_SEED_CORPUS_DIR"
