#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the fast paths of the release builds with the committed table, and shows that the checks can fail.

    bazel test //tests/golden:fast_path_test
    bazel run //tests/golden:fast_path_test -- --update     rewrite the table

The arguments that Bazel passes: FORM=FILE for every build, and --box=FILE, a build of the Box variant, in which the
check for Box functions must find some.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

# The modules lie beside the source of this file; Bazel's runfiles hold links.
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import fast_path  # noqa: E402
import machine_code  # noqa: E402

TABLE = os.path.join(HERE, "fast_path.x86_64.txt")
BUILDS, BOX = [], None

# A free and a malloc that keep every rule; the tests below break one rule each. {name} is where a change goes in.
GOOD_FREE = """
free:
  movq %rdi, %rax
  subq base(%rip), %rax
  shrq $16, %rax
  cmpq count(%rip), %rax
  jae .Lslow_free
  movq classes(%rip), %rcx
  movzbl (%rcx,%rax), %edx
  movq cache@gottpoff(%rip), %rsi
  subl $1, %fs:1024(%rsi,%rdx,4)
  jb .Lslow_free
  orb $0x80, %dl
  movb %dl, -1(%rdi)
  movzbl %dl, %edx
  movq %fs:(%rsi,%rdx,8), %rcx
  movq %rcx, (%rdi)
  movq %rdi, %fs:(%rsi,%rdx,8)
  ret
.Lslow_free:
  jmp slow
  .size free, . - free
"""
GOOD_MALLOC = """
malloc:
  cmpq $32768, %rdi
  ja .Lslow_malloc
  leaq table(%rip), %rcx
  movzbl (%rcx,%rdi), %ecx
  movq cache@gottpoff(%rip), %rsi
  movq %fs:(%rsi,%rcx,8), %rax
  testq %rax, %rax
  je .Lslow_malloc
  movq (%rax), %rdx
  movq %rdx, %fs:(%rsi,%rcx,8)
  incl %fs:1024(%rsi,%rcx,4)
  ret
.Lslow_malloc:
  jmp slow
  .size malloc, . - malloc
"""
DATA = """
  .globl malloc, free
  .type malloc, @function
  .type free, @function
  .section .tbss,"awT",@nobits
cache: .zero 2048
  .data
base: .quad 0
count: .quad 0
classes: .quad 0
table: .zero 40000
  .section .rodata
  .asciz "hakmem 0.0.0 variant=direct checks=0 compiler=hand-1.0 optimisation=-O3"
  .text
slow: ret
"""


class SeededFaults(unittest.TestCase):
    """Assembles malloc and free with one fault each."""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.library = os.path.join(self.directory.name, "library.so")

    def tearDown(self):
        self.directory.cleanup()

    def check(self, malloc=GOOD_MALLOC, free=GOOD_FREE, data=DATA):
        source = os.path.join(self.directory.name, "library.s")
        with open(source, "w", encoding="ascii") as output:
            output.write(data + malloc + free)
        subprocess.run(["gcc", "-shared", "-nostdlib", source, "-o", self.library], check=True)
        return fast_path.check_build("shared library", self.library)

    def expect(self, expected, old, new, function="free"):
        good = {"malloc": GOOD_MALLOC, "free": GOOD_FREE}
        self.assertIn(old, good[function])
        good[function] = good[function].replace(old, new, 1)
        _, problems = self.check(**good)
        self.assertTrue(any(expected in problem for problem in problems), problems)

    def test_good_functions_pass(self):
        sections, problems = self.check()
        self.assertEqual(problems, [])
        self.assertEqual(fast_path.table_difference(fast_path.table_text(sections), sections), [])
        self.assertEqual(sections["free, shared library, hand 1"][0][-4:],
                         ["mov load qword [tls]", "mov store qword [block]", "mov store qword [tls]", "ret"])

    def test_another_instruction_shows_in_the_table(self):
        sections, _ = self.check()
        table = fast_path.table_text(sections)
        sections, problems = self.check(free=GOOD_FREE.replace("  ret\n", "  xorl %eax, %eax\n  ret\n", 1))
        self.assertEqual(problems, [])
        self.assertIn("+  xor reg, reg", fast_path.table_difference(table, sections))

    def test_call_before_the_return(self):
        self.expect("free: no way to a return that makes no call", "  ret\n", "  call slow\n  ret\n")
        self.expect("malloc: no way to a return that makes no call", "  ret\n", "  call slow\n  ret\n", "malloc")

    def test_call_through_a_pointer(self):
        self.expect("free: no way to a return that makes no call", "  ret\n", "  call *base(%rip)\n  ret\n")

    def test_tail_call(self):
        self.expect("free: no way to a return that makes no call", "  ret\n", "  jmp slow\n")

    def test_too_many_instructions(self):
        self.expect("free: 20 instructions from entry to return, more than 18", "  ret\n", "  nop\n" * 3 + "  ret\n")
        self.expect("malloc: 17 instructions from entry to return, more than 16", "  ret\n", "  nop\n" * 5 + "  ret\n",
                    "malloc")

    def test_longer_second_way(self):
        self.expect("free: 21 instructions from entry to return, more than 18", "  jmp slow\n",
                    "  movb %dl, -1(%rdi)\n  movq %fs:(%rsi,%rdx,8), %rcx\n  movq %rcx, (%rdi)\n"
                    "  subl $1, %fs:1024(%rsi,%rdx,4)\n  js .Lfull\n.Lfull:\n"
                    "  movq %rdi, %fs:(%rsi,%rdx,8)\n" + "  nop\n" * 4 + "  ret\n")

    def test_order_of_the_push(self):
        self.expect("the order is not: load head, store next, store head",
                    "  movq %rcx, (%rdi)\n  movq %rdi, %fs:(%rsi,%rdx,8)\n",
                    "  movq %rdi, %fs:(%rsi,%rdx,8)\n  movq %rcx, (%rdi)\n")

    def test_wrong_next(self):
        self.expect("does not store the old head as the block's next", "  movq %rcx, (%rdi)\n", "  movq %rax, (%rdi)\n")
        self.expect("does not store the old head as the block's next", "  movq %rcx, (%rdi)\n", "  movq %rcx, 8(%rdi)\n")

    def test_wrong_head(self):
        self.expect("does not store the block as the head", "  movq %rdi, %fs:(", "  movq %rax, %fs:(")

    def test_missing_header(self):
        self.expect("stores the header 0 times", "  movb %dl, -1(%rdi)\n", "")

    def test_missing_count(self):
        self.expect("writes 0 counts", "  subl $1, %fs:1024(%rsi,%rdx,4)\n", "")

    def test_count_without_a_branch(self):
        self.expect("no branch follows the count", "  jb .Lslow_free\n", "")

    def test_additional_write(self):
        self.expect("writes more than it must: inc dword [global]", "  ret\n", "  incl count(%rip)\n  ret\n")
        self.expect("writes more than it must: push reg", "  ret\n", "  pushq %rax\n  popq %rax\n  ret\n")
        self.expect("writes more than it must: mov store byte [block-1]", "  ret\n", "  movb $1, -1(%rax)\n  ret\n",
                    "malloc")

    def test_malloc_that_returns_something_else(self):
        self.expect("malloc: does not return the old head", "  ret\n", "  movq %rdx, %rax\n  ret\n", "malloc")

    def test_box_function(self):
        _, problems = self.check(data=DATA + "thread_cache_box_push: ret\n")
        self.assertEqual(problems, ["shared library, hand 1: holds the Box function thread_cache_box_push"])

    def test_stripped_file(self):
        self.check()
        subprocess.run(["strip", self.library], check=True)
        self.assertIn("no symbol table", fast_path.check_names(self.library)[0])

    def test_other_variant(self):
        with self.assertRaisesRegex(machine_code.CodeError, "not a release build"):
            self.check(data=DATA.replace("variant=direct checks=0", "variant=box checks=2"))


class Builds(unittest.TestCase):
    maxDiff = None

    def test_box_build_has_box_functions(self):
        """If this fails, the Box has other names and the check of the release builds looks for nothing."""
        self.assertNotEqual(fast_path.check_names(BOX), [])

    def test_builds(self):
        sections, problems = read_builds()
        for problem in problems:
            print(problem, file=sys.stderr)
        with open(TABLE, encoding="ascii") as table:
            difference = fast_path.table_difference(table.read(), sections)
        print("\n".join(difference), file=sys.stderr)
        self.assertEqual(problems, [], "the fast paths break the rules above")
        self.assertEqual(difference, [], "the fast paths are not those of the table; if they are meant to change: "
                         "bazel run //tests/golden:fast_path_test -- --update")


def read_builds():
    sections, problems = {}, []
    for form, path in BUILDS:
        found, wrong = fast_path.check_build(form, path)
        sections.update(found)
        problems += wrong
    return sections, problems


def main():
    global BOX
    arguments, update = [], False
    for argument in sys.argv[1:]:
        if argument == "--update":
            update = True
        elif argument.startswith("--box="):
            BOX = argument.split("=", 1)[1]
        elif "=" in argument and not argument.startswith("-"):
            BUILDS.append(argument.split("=", 1))
        else:
            arguments.append(argument)
    if not BUILDS or BOX is None:
        sys.exit("usage: fast_path_test.py FORM=FILE ... --box=FILE [--update]")
    for program in ("objdump", "nm", "strip", "gcc"):
        if shutil.which(program) is None:
            sys.exit("%s is missing: apt-get install binutils gcc" % program)
    if not update:
        unittest.main(argv=sys.argv[:1] + arguments)
    sections, problems = read_builds()
    with open(TABLE, "w", encoding="ascii") as table:
        table.write(fast_path.table_text(sections))
    print("\n".join(["written: " + TABLE] + problems))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
