#!/bin/bash -eu
# SPDX-License-Identifier: Apache-2.0
#
# Licensed under the Apache License, Version 2.0: http://www.apache.org/licenses/LICENSE-2.0
#
# Builds the fuzz targets into $OUT, for OSS-Fuzz and ClusterFuzzLite, whose builder says in the environment how: CC, CXX,
# CFLAGS, CXXFLAGS, LIB_FUZZING_ENGINE, SANITIZER, SRC, WORK, OUT. The repository is $SRC/hakmem.
#
# Without Bazel: this repository's Bazel is set up for Debian's compiler, and a Bazel that came over the network would be one
# more thing that can fail in an image where the compiler alone does. What is compiled how stands in programs.txt, which is made
# from the BUILD files; //fuzz/oss-fuzz:project_test compares them.
#
#   HAKMEM_TARGETS="options threads"    only these

cd "$SRC/hakmem"
programs=fuzz/oss-fuzz/programs.txt
tools=fuzz/rules/tools
export objects=$WORK/hakmem
mkdir -p "$objects" "$OUT"

# The lines of programs.txt that begin with the words given, without these.
lines_of() { sed -n "s|^$* ||p" "$programs"; }

# afl-clang-fast of AFL++ 4.04 takes no flag that keeps code from being instrumented, but this.
echo "src: *" >"$objects/everything"

# compile OBJECT SOURCE FLAG ...
compile() {
  local object=$objects/$1 source=$2 flags=()
  shift 2
  for flag; do
    case $flag in
      # MemorySanitizer must see every write of the program.
      -fno-sanitize=all) if [ "$SANITIZER" = memory ]; then continue; fi ;;
      -fno-sanitize=fuzzer,*) export AFL_LLVM_DENYLIST=$objects/everything ;;
    esac
    flags+=("$flag")
  done
  mkdir -p "${object%/*}"
  # shellcheck disable=SC2086 # CFLAGS are words
  $CC $CFLAGS "${flags[@]}" -I. -c "$source" -o "$object"
}
export -f compile

names=${HAKMEM_TARGETS:-$(lines_of link | cut -d " " -f 1)}
for name in $names; do lines_of link "$name"; done | tr " " "\n" | grep "\.o$" | sort -u | while read -r object; do
  lines_of compile "$object" | sed "s|^|$object |"
done | xargs -P "$(nproc)" -L 1 bash -euc 'compile "$@"' compile

for name in $names; do
  words=()
  for word in $(lines_of link "$name"); do
    case $word in *.o) word=$objects/$word ;; esac
    words+=("$word")
  done
  # With $CXX, though all is C: the engine is C++.
  # shellcheck disable=SC2086 # so are these
  $CXX $CXXFLAGS "${words[@]}" $LIB_FUZZING_ENGINE -o "$objects/$name"

  package=(--name="$name" --binary="$objects/$name" --output="$objects/$name.tar")
  seeds=()
  for directory in $(lines_of corpus "$name"); do
    if [ -d "$directory" ]; then seeds+=("$directory"); fi
  done
  rm -rf "$objects/$name.corpus"
  python3 -B "$tools/make_corpus.py" --package=fuzz --output="$objects/$name.corpus" "${seeds[@]}"
  package+=(--corpus="$objects/$name.corpus")
  # shellcheck disable=SC2046 # names without spaces
  if [ "$(lines_of dictionary "$name")" ]; then
    python3 -B "$tools/merge_dictionaries.py" --output="$objects/$name.dict" $(lines_of dictionary "$name")
    package+=(--dictionary="$objects/$name.dict")
  fi
  if [ "$(lines_of options "$name")" ]; then
    package+=(--options="$(lines_of options "$name")")
  fi
  python3 -B "$tools/make_package.py" "${package[@]}"
  tar -x -C "$OUT" -f "$objects/$name.tar"
done
