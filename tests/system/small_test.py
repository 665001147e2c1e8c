# SPDX-License-Identifier: Apache-2.0
"""Runs one of the small programs in small/ in each way to give it the allocator, and expects it to print "passed".

Ways: preloaded (--library; with --load the library is only named to the program, which loads it itself), linked with
malloc = //:malloc dynamically and statically (--linked). Each --control is a library that is broken on purpose: preloaded
(or loaded), the program must notice it.
"""

import argparse
import os
import sys
import time

import harness


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, metavar="PATH", help="the program, linked without the allocator")
    parser.add_argument("--mode", action="append", default=[], metavar="ARGUMENTS",
                        help="arguments for one run; {NAME} stands for a --file, {library} for the library")
    parser.add_argument("--library", action="append", default=[], metavar="NAME=PATH", help="library under test")
    parser.add_argument("--linked", action="append", default=[], metavar="NAME=PATH", help="program linked with malloc =")
    parser.add_argument("--control", action="append", default=[], metavar="NAME=PATH", help="broken library")
    parser.add_argument("--file", action="append", default=[], metavar="NAME=PATH", help="a file that the program needs")
    parser.add_argument("--which-malloc", required=True, metavar="PATH", help="program that prints where malloc is from")
    parser.add_argument("--load", action="store_true", help="do not preload the library")
    parser.add_argument("--address-space-kib", type=int, help="limit as with ulimit -v")
    parser.add_argument("--deadline", type=int, default=250, help="seconds that one run may take")
    arguments = parser.parse_args()
    harness.no_core_files()
    files = dict(harness.named_files(arguments.file))
    modes = [mode.split() for mode in arguments.mode] or [[]]
    libraries = harness.named_files(arguments.library)
    if not libraries:
        raise harness.Failure("no --library given: nothing to test")

    with harness.temporary_directory() as directory:

        def problem(label, program, mode, library=None, preload=None):
            """Runs the program; returns None if it passed, else what it said."""
            environment = harness.base_environment(directory)
            if preload:
                environment["LD_PRELOAD"] = preload
            command = [program] + [part.format(library=library, **files) for part in mode]
            if arguments.address_space_kib:
                command = ["/usr/bin/sh", "-c", f'ulimit -v {arguments.address_space_kib} && exec "$@"', "sh"] + command
            start = time.monotonic()
            status, out, err = harness.run(command, environment, directory, deadline=arguments.deadline)
            last = (err.decode(errors="replace").splitlines() or [""])[-1]
            print(f"{os.path.basename(program)} {' '.join(mode)}, {label}: {harness.describe_status(status)}, "
                  f"{time.monotonic() - start:.1f} s. {last}", flush=True)
            # A mode that says nothing but "passed" may still have warned on stderr: ld.so about a preload, or the allocator.
            complaints = [line for line in err.decode(errors="replace").splitlines() if "ld.so" in line or "hakmem" in line]
            if status == 0 and out == b"passed\n" and not complaints:
                return None
            return (f"{harness.describe_status(status)}\nstdout: {out.decode(errors='replace')}\n"
                    f"stderr: {err.decode(errors='replace')}")

        failures = []
        for name, library in libraries:
            if not arguments.load:
                harness.check_preload(library, harness.absolute(arguments.which_malloc), directory)
            for mode in modes:
                found = problem(f"{'loading' if arguments.load else 'preloading'} {name}", harness.absolute(arguments.program),
                                mode, library, None if arguments.load else library)
                if found:
                    failures.append(f"{name} {' '.join(mode)}: {found}")
        for name, program in harness.named_files(arguments.linked):
            for mode in modes:
                found = problem(f"linked {name}", program, mode)
                if found:
                    failures.append(f"linked {name} {' '.join(mode)}: {found}")
        if failures:
            raise harness.Failure("\n".join(failures))
        for name, library in harness.named_files(arguments.control):
            found = [problem(f"broken library {name}", harness.absolute(arguments.program), mode, library,
                             None if arguments.load else library) for mode in modes[:1]]
            if not any(found):
                raise harness.Failure(f"the program did not notice the broken library {name}")
    print("passed")


if __name__ == "__main__":
    try:
        main()
    except harness.Failure as failure:
        sys.exit(f"FAILED: {failure}")
