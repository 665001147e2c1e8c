#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs the seed corpus once; ../README.md says what the environment is. The main function is replay_main.c's.
if [ "$FUZZER_IS_REGRESSION" = 0 ]; then
  echo "fuzz: the replay engine looks for nothing new; --config=asan-libfuzzer and --config=afl do" >&2
fi
exec "$FUZZER_BINARY" "$FUZZER_SEED_CORPUS_DIR"
