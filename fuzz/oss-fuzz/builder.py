# SPDX-License-Identifier: Apache-2.0
"""OSS-Fuzz's builder without its image: runs build.sh in the environment that it would have there.

Of the flags one is left out, -stdlib=libc++: Debian's libFuzzer is made with libstdc++, and cannot be linked with it. The
compiler is Debian's clang 19, for AFL++ the one that Debian's AFL++ has; AFL++'s CMPLOG is not switched on.
"""

import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
CLANG = "/usr/lib/llvm-19/bin/clang"
AFL_DRIVER = "/usr/lib/afl/libAFLDriver.a"
ENGINES = ("libfuzzer", "afl")

_FATAL = ("array-bounds,bool,builtin,enum,integer-divide-by-zero,null,object-size,return,returns-nonnull-attribute,shift,"
          "signed-integer-overflow,unreachable,vla-bound,vptr")
_SANITIZER_FLAGS = {
    "address": "-fsanitize=address -fsanitize-address-use-after-scope",
    "memory": "-fsanitize=memory -fsanitize-memory-track-origins",
    # An overflow of an unsigned number is reported to the engine as something new, and to nobody else. In C without function.
    "undefined": "-fsanitize=%s,function,unsigned-integer-overflow -fno-sanitize-recover=%s,function -fno-sanitize=function" % (
        _FATAL, _FATAL),
    "coverage": "",
}
_COVERAGE_FLAGS = ("-fprofile-instr-generate -fcoverage-mapping -pthread -Wl,--no-as-needed -Wl,-ldl -Wl,-lm "
                   "-Wno-unused-command-line-argument")
_FLAGS = "-O1 -fno-omit-frame-pointer -gline-tables-only -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION"
SANITIZERS = tuple(_SANITIZER_FLAGS)


# AFL++ 4.04 counts a select in a place behind the guards that it made for the function, which may be the last one.
# Guards are put in the order of the functions that they belong to: these belong to one that is linked after all others.
_MORE_GUARDS = """.section .text.zz_more_guards,"ax",@progbits
nop
.section __sancov_guards,"awo",@progbits,.text.zz_more_guards
.zero 256
.section .note.GNU-stack,"",@progbits
"""


def need(program, package):
    if shutil.which(program) is None and not os.path.exists(program):
        sys.exit("%s is missing: apt-get install %s" % (program, package))


def environment_of(engine, sanitizer):
    need(CLANG, "clang-19")
    flags = [_FLAGS, _SANITIZER_FLAGS[sanitizer]]
    if sanitizer == "coverage":
        flags.append(_COVERAGE_FLAGS)
    elif engine == "libfuzzer":
        flags.append("-fsanitize=fuzzer-no-link")
    found = {"ARCHITECTURE": "x86_64", "FUZZING_ENGINE": engine, "FUZZING_LANGUAGE": "c", "SANITIZER": sanitizer,
             "CC": CLANG, "CXX": CLANG + "++", "LIB_FUZZING_ENGINE": "-fsanitize=fuzzer",
             "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/tmp"}
    if engine == "afl":
        need("afl-clang-fast", "afl++")
        need(AFL_DRIVER, "afl++")
        found.update(CC="afl-clang-fast", CXX="afl-clang-fast++", LIB_FUZZING_ENGINE=AFL_DRIVER, AFL_QUIET="1",
                     ASAN_OPTIONS="detect_leaks=0:symbolize=0:detect_odr_violation=0:abort_on_error=1")
    found["CFLAGS"] = found["CXXFLAGS"] = " ".join(flag for flag in flags if flag)
    return found


def build(directory, environment, targets=()):
    """Makes directory/out, with all targets or those given. Raises subprocess.CalledProcessError, with what was said."""
    places = {name.upper(): os.path.join(directory, name) for name in ("src", "work", "out")}
    for place in places.values():
        os.makedirs(place)
    os.symlink(ROOT, os.path.join(places["SRC"], "hakmem"))
    # As the image has it: beside the repository.
    script = os.path.join(places["SRC"], "build.sh")
    shutil.copy(os.path.join(ROOT, "fuzz", "oss-fuzz", "build.sh"), script)
    environment = dict(environment, **places)
    if environment["FUZZING_ENGINE"] == "afl":
        guards = os.path.join(places["WORK"], "more_guards")
        with open(guards + ".s", "w", encoding="utf-8") as source:
            source.write(_MORE_GUARDS)
        subprocess.run([CLANG, "-c", guards + ".s", "-o", guards + ".o"], check=True)
        environment["LIB_FUZZING_ENGINE"] = guards + ".o " + environment["LIB_FUZZING_ENGINE"]
    if targets:
        environment["HAKMEM_TARGETS"] = " ".join(targets)
    subprocess.run(["bash", "-eu", script], env=environment, cwd=os.path.join(places["SRC"], "hakmem"), check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    return places["OUT"]
