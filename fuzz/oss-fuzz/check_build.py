#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what OSS-Fuzz was given as a build: what its own check of builds looks at, and the files beside the targets.

Each problem begins with a word for its kind: name, file, entry, linked, sanitizer, engine, startup, coverage, fuzzing, corpus,
options, dictionary, writes.

    check_build.py --engine=libfuzzer|afl --sanitizer=address|undefined|memory DIRECTORY
"""

import argparse
import configparser
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "rules", "tools"))
import merge_dictionaries  # noqa: E402 pylint: disable=wrong-import-position

NAME = re.compile(r"[A-Za-z0-9_-]+")
ENTRY = b"LLVMFuzzerTestOneInput"
# Beside the C library, what OSS-Fuzz's runner has; libstdc++ is where Debian's libFuzzer has libc++.
LIBRARIES = re.compile(r"(ld-linux-x86-64|libc|libm|libdl|librt|libpthread|libresolv|libgcc_s|libstdc\+\+)\.so\.\d+")
ELF_X86_64, ELF_HEADER_BYTES = 62, 64

# Calls of a sanitizer's runtime in the code, as OSS-Fuzz counts them: at least, or at most where it was not asked for. The
# runtimes have some of UBSan's themselves.
CALL = re.compile(r"callq?\s+[0-9a-f]+ <__(asan|msan|ubsan)")
LEAST = {"address": ("asan", 1000), "memory": ("msan", 1000), "undefined": ("ubsan", 168)}
MOST = {"asan": 0, "msan": 3, "ubsan": 200}
EDGES_MIN = 100
START_RUNS = 4
# So many, not so long: a fast machine sees what a slow one does.
FUZZING_RUNS = 500
# What targets, hakmem and sanitizers say first.
SAID = re.compile(r"fuzz: |hakmem: |==\d+==ERROR|runtime error: ")
TAIL_LINES = 20
SECTIONS = ("libfuzzer", "env", "asan", "msan", "ubsan")
LIBFUZZER_ARGUMENTS = ["-rss_limit_mb=2560", "-timeout=25"]
WALL_LIMIT = 300

# As OSS-Fuzz's runner has them, but that nothing is to be symbolized: it takes a second, and would find a program of its own.
RUNTIME_OPTIONS = {
    "ASAN_OPTIONS": "alloc_dealloc_mismatch=0:allocator_may_return_null=1:check_malloc_usable_size=0:detect_leaks=1:"
                    "detect_odr_violation=2:detect_stack_use_after_return=1:handle_abort=2:handle_segv=2:handle_sigill=2:"
                    "quarantine_size_mb=10:strict_memcmp=1:symbolize=0",
    "MSAN_OPTIONS": "print_stats=1:symbolize=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:silence_unsigned_overflow=1:symbolize=0",
}
AFL_SETTINGS = {
    "AFL_ALLOW_TMP": "1",
    "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",
    "AFL_NO_AFFINITY": "1",
    "AFL_NO_UI": "1",
    "AFL_SKIP_CPUFREQ": "1",
    # What afl-fuzz demands.
    "ASAN_OPTIONS": "abort_on_error=1:symbolize=0:detect_leaks=0:allocator_may_return_null=1",
}


def run(command, directory, settings=None):
    """status, which is None where it took too long, and what was printed."""
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": directory, **(settings or RUNTIME_OPTIONS)}
    try:
        done = subprocess.run(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=WALL_LIMIT, check=False)
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode("utf-8", "replace")
    except OSError as problem:
        return None, str(problem)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def find_targets(out):
    """Names of the executables at the top; what AFL++ brings along is none."""
    return sorted(name for name in os.listdir(out) if os.path.isfile(os.path.join(out, name)) and
                  os.access(os.path.join(out, name), os.X_OK) and not name.startswith("afl-"))


class Unreadable(Exception):
    """A file that is no whole program."""


def objdump(option, binary):
    done = subprocess.run(["objdump", option, binary], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          encoding="utf-8", errors="replace")
    if done.returncode != 0:
        raise Unreadable("objdump %s: status %d: %s" % (option, done.returncode, done.stderr.strip()[-500:]))
    return done.stdout


def check_file(binary):
    with open(binary, "rb") as file:
        data = file.read()
    if data[:4] != b"\x7fELF" or len(data) < ELF_HEADER_BYTES or struct.unpack_from("<H", data, 18)[0] != ELF_X86_64:
        yield "file: no program for x86-64"
        return
    if ENTRY not in data:
        yield "entry: there is no %s in it" % ENTRY.decode()
    listing = objdump("-p", binary)
    for library in re.findall(r"NEEDED\s+(\S+)", listing):
        if not LIBRARIES.fullmatch(library):
            yield "linked: %s is not where it will run" % library


def check_sanitizer(binary, engine, sanitizer):
    if engine != "libfuzzer" and sanitizer == "undefined":
        return
    found = CALL.findall(objdump("-dC", binary))
    counts = {word: found.count(word) for word in MOST}
    wanted, least = LEAST[sanitizer]
    if counts[wanted] < least:
        yield "sanitizer: %d calls of %s, not %d" % (counts[wanted], wanted, least)
    for word, most in MOST.items():
        if word != wanted and counts[word] > most:
            yield "sanitizer: %d calls of %s, which was not asked for" % (counts[word], word)


def tail(text):
    """The end of what was said, and before it what is no stack: the target's own lines, then a sanitizer's."""
    lines = text.splitlines()
    end = lines[-TAIL_LINES:]
    said = sorted((line for line in lines[:-TAIL_LINES] if SAID.search(line)), key=lambda line: "fuzz: " not in line)
    return "\n" + "\n".join(said[:5] + end)


def check_libfuzzer(binary, arguments, directory):
    status, text = run([binary, "-seed=1337", "-runs=%d" % START_RUNS] + arguments, directory)
    if status != 0:
        yield "startup: status %s%s" % (status, tail(text))
        return
    if "Done %d runs" % START_RUNS not in text:
        yield "engine: this is not libFuzzer%s" % tail(text)
        return
    edges = re.search(r"Loaded \d+ modules?\s+\((\d+) ", text)
    if "no interesting inputs were found" in text or edges is None or int(edges.group(1)) < EDGES_MIN:
        yield "coverage: %s edges%s" % (edges.group(1) if edges else "no", tail(text))
    status, text = run([binary, "-seed=1337", "-runs=%d" % FUZZING_RUNS] + arguments, directory)
    if status != 0:
        yield "fuzzing: status %s%s" % (status, tail(text))


def find_saved(directory):
    """What afl-fuzz found; its status does not say so."""
    try:
        with open(os.path.join(directory, "default", "fuzzer_stats"), encoding="utf-8") as lines:
            text = lines.read()
    except OSError as problem:
        return ["no fuzzer_stats: %s" % problem]
    return [" ".join(match) for match in re.findall(r"^(saved_crashes|saved_hangs) +: ([1-9]\d*)$", text, re.M)]


def check_afl(binary, directory):
    seeds = os.path.join(directory, "seeds")
    os.mkdir(seeds)
    with open(os.path.join(seeds, "input"), "wb") as seed:
        seed.write(b"input")
    status, text = run([binary, os.path.join(seeds, "input")], directory)
    if status != 0:
        yield "startup: status %s%s" % (status, tail(text))
        return
    found = os.path.join(directory, "found")
    command = ["afl-fuzz", "-m", "none", "-t", "25000", "-s", "1337", "-E", str(FUZZING_RUNS), "-i", seeds, "-o", found,
               "--", binary]
    status, text = run(command, directory, AFL_SETTINGS)
    if "All set and ready to roll" not in text:
        kind = "startup" if re.search(r"target binary (crashed|terminated)", text, re.I) else "engine"
        yield "%s: afl-fuzz does not begin%s" % (kind, tail(text))
    elif status != 0:
        yield "fuzzing: status %s%s" % (status, tail(text))
    else:
        yield from ("fuzzing: %s" % saved for saved in find_saved(found))


def read_options(path):
    """The arguments for libFuzzer, and the problems."""
    if not os.path.exists(path):
        return [], []
    options = configparser.ConfigParser(interpolation=None)
    try:
        options.read(path)
    except (OSError, UnicodeDecodeError, configparser.Error) as problem:
        return [], ["options: %s" % problem]
    problems = ["options: no section %s is known" % section for section in options.sections() if section not in SECTIONS]
    values = options["libfuzzer"] if "libfuzzer" in options else {}
    return ["-%s=%s" % item for item in values.items()], problems


def check_options(binary, arguments, directory):
    if not arguments:
        return
    _, text = run([binary, "-help=1"], directory)
    known = re.findall(r"^ (\w+)\s", text, re.M)
    for argument in arguments:
        if argument[1:].split("=")[0] not in known:
            yield "options: libFuzzer has no %s" % argument


def check_dictionary(path):
    if os.path.exists(path):
        lines, problems = merge_dictionaries.merge([path])
        yield from ("dictionary: %s" % problem for problem in problems)
        if not lines and not problems:
            yield "dictionary: %s is empty" % path


def check_corpus(binary, engine, archive, arguments, directory):
    seeds = os.path.join(directory, "corpus")
    os.mkdir(seeds)
    try:
        with zipfile.ZipFile(archive) as seed_corpus:
            seed_corpus.extractall(seeds)
    except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as problem:
        yield "corpus: %s" % problem
        return
    files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(seeds) for name in names)
    if not any(os.path.getsize(file) for file in files):
        yield "corpus: %s is empty" % archive
        return
    status, text = run([binary] + (["-runs=0"] + arguments + [seeds] if engine == "libfuzzer" else files), directory)
    if status != 0:
        yield "corpus: status %s%s" % (status, tail(text))


def check_target(out, name, engine, sanitizer):
    """The problems of a target; what depends on a program that cannot be started is left out."""
    binary = os.path.join(out, name)
    if not NAME.fullmatch(name):
        return ["name: only letters, digits, - and _"]
    problems = []
    try:
        problems += check_file(binary)
        if problems:
            return problems
        problems += check_sanitizer(binary, engine, sanitizer)
    except (OSError, Unreadable) as problem:
        return problems + ["file: %s" % problem]
    arguments, more = read_options(binary + ".options")
    problems += more
    problems += check_dictionary(binary + ".dict")
    arguments = arguments + [argument for argument in LIBFUZZER_ARGUMENTS
                             if not any(one.split("=")[0] == argument.split("=")[0] for one in arguments)]
    with tempfile.TemporaryDirectory(prefix="check_build.") as directory:
        if engine == "libfuzzer":
            started = list(check_libfuzzer(binary, arguments, directory))
        else:
            started = list(check_afl(binary, directory))
        problems += started
        if not any(problem.startswith(("startup", "engine")) for problem in started):
            if engine == "libfuzzer":
                problems += check_options(binary, arguments, directory)
            problems += check_corpus(binary, engine, binary + "_seed_corpus.zip", arguments, directory)
    return problems


def check_build(out, engine, sanitizer, targets=None):
    """Problems, each with the name of its target. All targets of out, and no others where they are given."""
    for program, package in (("objdump", "binutils"), ("afl-fuzz", "afl++")):
        if shutil.which(program) is None and (program == "objdump" or engine == "afl"):
            sys.exit("%s is missing: apt-get install %s" % (program, package))
    try:
        before = sorted(os.listdir(out))
    except OSError as problem:
        return ["file: %s: %s" % (out, problem.strerror)]
    found = find_targets(out)
    problems = ["%s: file: it is missing" % name for name in targets or [] if name not in found]
    problems += ["%s: file: it is too much" % name for name in found if targets and name not in targets]
    if not found:
        problems.append("file: there are no targets in %s" % out)
    for name in found:
        problems += ["%s: %s" % (name, problem) for problem in check_target(out, name, engine, sanitizer)]
    if sorted(os.listdir(out)) != before:
        problems.append("writes: a target wrote where it lies")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("libfuzzer", "afl"), required=True)
    parser.add_argument("--sanitizer", choices=sorted(LEAST), required=True)
    parser.add_argument("out")
    options = parser.parse_args()
    problems = check_build(os.path.abspath(options.out), options.engine, options.sanitizer)
    print("".join(problem + "\n" for problem in problems) + "%d problems" % len(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
