# SPDX-License-Identifier: Apache-2.0
"""The profiles that programs built for coverage write: their names, all of them in one, and what they say of the sources.

Calls llvm-profdata and, through coverage_report, llvm-cov.
"""

import concurrent.futures
import glob
import os
import shutil
import subprocess

import coverage_report

LLVM_COV = "llvm-cov-19"
LLVM_PROFDATA = "llvm-profdata-19"


class Failure(Exception):
    """What the user should read without a stack trace."""


def look_for_tools():
    for tool in (LLVM_COV, LLVM_PROFDATA):
        if shutil.which(tool) is None:
            raise Failure(f"{tool} is missing: install Debian's package llvm-19")


def name_in(directory):
    """For LLVM_PROFILE_FILE: a file per process, and per program where the number of a process comes again. What was counted
    is in it also where the process aborts."""
    return os.path.join(directory, "%p.%m%c.profraw")


def merge(directory):
    """Returns the file that has all profiles of a directory; None if there are none."""
    raw = sorted(glob.glob(os.path.join(directory, "*.profraw")))
    merged = directory + ".profdata"
    if not raw:
        return None
    # One that was killed while it made its profile left an empty file.
    names = os.path.join(directory, "files.txt")
    with open(names, "w", encoding="utf-8") as file:
        file.writelines(name + "\n" for name in raw if os.path.getsize(name) > 0)
    command = [LLVM_PROFDATA, "merge", "-sparse", "--failure-mode=warn", "-o", merged, "--input-files=" + names]
    if subprocess.run(command, check=False).returncode != 0:
        raise Failure("the profiles cannot be merged")
    return merged


def read_programs(programs, profile, sources, jobs=None):
    """From each file below sources to its FileCoverage, in all programs together."""
    files = {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=jobs or os.cpu_count() or 1) as pool:
        def export(program):
            return coverage_report.read_program(LLVM_COV, program, profile, sources)
        for one in pool.map(export, programs):
            coverage_report.add_files(files, one)
    return files
