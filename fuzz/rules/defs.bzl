# SPDX-License-Identifier: Apache-2.0
"""cc_fuzz_test, with the interface of rules_fuzzing. README.md has an example and says how the targets are used."""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load(":binary.bzl", "fuzzing_binary")
load(":corpus.bzl", "fuzzing_corpus", "fuzzing_dictionary")
load(":engine.bzl", _FuzzingEngineInfo = "FuzzingEngineInfo", _cc_fuzzing_engine = "cc_fuzzing_engine")
load(":launcher.bzl", "fuzzing_launcher", "fuzzing_regression_test")
load(":package.bzl", "oss_fuzz_package")
load(
    ":settings.bzl",
    _UNINSTRUMENTED_COPTS = "UNINSTRUMENTED_COPTS",
    _WITHOUT_COVERAGE_COPTS = "WITHOUT_COVERAGE_COPTS",
)

FuzzingEngineInfo = _FuzzingEngineInfo
cc_fuzzing_engine = _cc_fuzzing_engine
UNINSTRUMENTED_COPTS = _UNINSTRUMENTED_COPTS
WITHOUT_COVERAGE_COPTS = _WITHOUT_COVERAGE_COPTS

_ENGINE = Label("//fuzz/rules:cc_engine")

def _with(words, more):
    return words + [word for word in more if word not in words]

def cc_fuzz_test(
        name,
        corpus = [],
        dicts = [],
        engine = _ENGINE,
        options = None,
        afl_mutator = None,
        size = None,
        tags = [],
        timeout = None,
        testonly = True,
        visibility = None,
        **kwargs):
    """A fuzz target, LLVMFuzzerTestOneInput, and what is made of it.

        NAME            test that runs each file of the corpus once
        NAME_run        launcher of the engine
        NAME_bin        what both run
        NAME_corpus     directory with the corpus
        NAME_dict       NAME.dict, where there are dicts
        NAME_oss_fuzz   NAME_oss_fuzz.tar

    Called in a BUILD file itself, not by another macro, or OSS-Fuzz does not find the test.

    Args:
      name: letters, digits, - and _.
      corpus: files and targets that make files.
      dicts: dictionaries of libFuzzer's and AFL++'s form.
      engine: a cc_fuzzing_engine.
      options: a file NAME.options with a section libfuzzer, as ClusterFuzz has it.
      afl_mutator: a shared library with AFL++'s afl_custom_fuzz and so on. It is not instrumented.
      size: of the test.
      tags: of the test, which also gets fuzz-test, and of all others, which also get manual.
      timeout: of the test.
      testonly: of all targets.
      visibility: of all targets.
      **kwargs: for the cc_binary: srcs, deps, copts and so on.
    """
    raw_name = name + "_raw_"
    common = {
        "testonly": testonly,
        "visibility": visibility,
        "tags": _with(tags, ["manual"]),
    }
    cc_binary(
        name = raw_name,
        testonly = testonly,
        tags = common["tags"],
        visibility = visibility,
        deps = kwargs.pop("deps", []) + [engine],
        **kwargs
    )
    fuzzing_corpus(
        name = name + "_corpus",
        srcs = corpus,
        **common
    )
    if dicts:
        fuzzing_dictionary(
            name = name + "_dict",
            dicts = dicts,
            output = name + ".dict",
            **common
        )
    fuzzing_binary(
        name = name + "_bin",
        afl_mutator = afl_mutator,
        binary = raw_name,
        cc_engine = engine,
        corpus = name + "_corpus",
        dictionary = name + "_dict" if dicts else None,
        has_corpus = bool(corpus),
        options = options,
        **common
    )
    fuzzing_launcher(
        name = name + "_run",
        binary = name + "_bin",
        target_name = name,
        **common
    )
    oss_fuzz_package(
        name = name + "_oss_fuzz",
        binary = name + "_bin",
        raw_name = raw_name,
        target_name = name,
        **common
    )
    fuzzing_regression_test(
        name = name,
        size = size,
        binary = name + "_bin",
        tags = _with(tags, ["fuzz-test"]),
        target_name = name,
        testonly = testonly,
        timeout = timeout,
        visibility = visibility,
    )

_INSTRUMENTATION = {
    "afl": "afl",
    "libfuzzer": "libfuzzer",
    "replay": "none",
}

def fuzzing_variant(
        name,
        fuzz_test,
        engine,
        sanitizer = "none",
        instrumentation = None,
        testonly = True,
        tags = [],
        visibility = None):
    """NAME_bin and NAME_run of a cc_fuzz_test once more, with one engine and sanitizer whatever the command line says.

    The flags of --copt and --linkopt, and so of the configs of other sanitizers, do not reach it. For tests, in their data.

    Args:
      name: of the variant, also of its directory below /tmp/fuzzing.
      fuzz_test: a cc_fuzz_test with the default engine.
      engine: replay, libfuzzer or afl.
      sanitizer: a word of //fuzz/rules:cc_engine_sanitizer.
      instrumentation: a word of //fuzz/rules:cc_engine_instrumentation, where it is not the engine's own.
      testonly: of both targets.
      tags: of both targets, which also get manual.
      visibility: of both targets.
    """
    common = {
        "testonly": testonly,
        "visibility": visibility,
        "tags": _with(tags, ["manual"]),
    }
    fuzzing_binary(
        name = name + "_bin",
        binary = fuzz_test + "_raw_",
        cc_engine = _ENGINE,
        engine = str(Label("//fuzz/rules/engines:" + engine)),
        instrumentation = instrumentation or _INSTRUMENTATION[engine],
        like = fuzz_test + "_bin",
        sanitizer = sanitizer,
        **common
    )
    fuzzing_launcher(
        name = name + "_run",
        binary = name + "_bin",
        target_name = name,
        **common
    )
