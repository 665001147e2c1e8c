# SPDX-License-Identifier: Apache-2.0
"""What the flags of //fuzz/rules mean to the compiler and the linker."""

load("@oss_fuzz//:flags.bzl", "OSS_FUZZ_COPTS", "OSS_FUZZ_LINKOPTS", "OSS_FUZZ_SANITIZER")

# The flags that make the compiler report coverage, by --//fuzz/rules:cc_engine_instrumentation.
_INSTRUMENTATION_COPTS = {
    "none": [],
    # clang's own instrumentation calls what AFL++'s runtime defines, so that no other compiler is needed.
    "afl": ["-fsanitize-coverage=trace-pc-guard"],
    "libfuzzer": ["-fsanitize=fuzzer-no-link"],
    # For llvm-cov, as --config=coverage in .bazelrc.
    "coverage": [
        "-fprofile-instr-generate",
        "-fcoverage-mapping",
        "-fcoverage-compilation-dir=.",
        "-mllvm",
        "-runtime-counter-relocation=true",
    ],
    # OSS-Fuzz says in the environment of its builds what flags it wants, the sanitizer's too.
    "oss-fuzz": OSS_FUZZ_COPTS,
}

_INSTRUMENTATION_LINKOPTS = {
    "coverage": ["-fprofile-instr-generate"],
    "oss-fuzz": OSS_FUZZ_LINKOPTS + ["-fuse-ld=lld"],
}

# -fsanitize=…, by --//fuzz/rules:cc_engine_sanitizer, and what else the compiler is told.
_SANITIZERS = {
    "none": (None, []),
    "asan": ("address", []),
    "asan-ubsan": ("address,undefined", ["-fno-sanitize=vptr"]),
    "msan": ("memory", []),
    "tsan": ("thread", []),
    # As in .bazelrc: without vptr, which needs every base class to be compiled with it.
    "ubsan": ("undefined", ["-fno-sanitize=vptr"]),
}

INSTRUMENTATIONS = _INSTRUMENTATION_COPTS.keys()
SANITIZERS = _SANITIZERS.keys()

# As build:sanitizer in .bazelrc.
_INSTRUMENTED_COPTS = [
    "-g",
    "-O1",
    "-fno-omit-frame-pointer",
]

# For copts of a target: in no configuration does its code report coverage to the engine. What only compares and counts, such
# as a reference model, costs the engine half of its time and fills the corpus with inputs that differ in nothing else. The
# sanitizers look at it all the same.
WITHOUT_COVERAGE_COPTS = select({
    "//bazel:clang": [
        "-fno-sanitize=fuzzer,fuzzer-no-link",
        "-fno-sanitize-coverage=edge,func,bb,trace-pc-guard,trace-pc,inline-8bit-counters,indirect-calls,trace-cmp,pc-table",
    ],
    "//conditions:default": [],
})

_WITHOUT_SANITIZER_COPTS = ["-fno-sanitize=all"]

# The same, and no sanitizer either but for msan and tsan, which must see all writes of the program.
UNINSTRUMENTED_COPTS = WITHOUT_COVERAGE_COPTS + select({
    "//fuzz/rules:sanitizer_msan": [],
    "//fuzz/rules:sanitizer_tsan": [],
    "//fuzz/rules:instrumentation_oss_fuzz": [] if OSS_FUZZ_SANITIZER == "memory" else _WITHOUT_SANITIZER_COPTS,
    "//conditions:default": _WITHOUT_SANITIZER_COPTS,
})

def fuzzing_flags(instrumentation, sanitizer, build_mode):
    """The flags of the command line that are added, as a struct of copts and linkopts."""
    copts, linkopts = [], []
    kind, other_copts = _SANITIZERS[sanitizer]
    if kind or instrumentation not in ["none", "oss-fuzz"]:
        copts += _INSTRUMENTED_COPTS
        linkopts.append("-fuse-ld=lld")
    if kind:
        copts += ["-fsanitize=" + kind, "-fno-sanitize-recover=all"] + other_copts
        linkopts.append("-fsanitize=" + kind)
    copts += _INSTRUMENTATION_COPTS[instrumentation]
    linkopts += _INSTRUMENTATION_LINKOPTS.get(instrumentation, [])
    if build_mode:
        copts.append("-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION")
    return struct(copts = copts, linkopts = linkopts)

def _yes_or_no_setting_impl(_context):
    return []

yes_or_no_setting = rule(
    implementation = _yes_or_no_setting_impl,
    doc = "A command line flag that is true or false.",
    build_setting = config.bool(flag = True),
)
