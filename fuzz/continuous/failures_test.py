#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is taken for the same bug, and what is not."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "seeded")]

import failures  # noqa: E402

ORACLE = """INFO: Seed: 1
fuzz: oracle zero: byte %s of a block of %s bytes is not zero (operation %s, calloc, %s)
==%s== ERROR: libFuzzer: deadly signal
    #0 0x5581 in __sanitizer_print_stack_trace (/x+0x1)
"""
STACK = """==1== ERROR: libFuzzer: deadly signal
    #0 0x55d0 in __sanitizer_print_stack_trace (/x+0x1)
    #1 0x55d1 in fuzzer::Fuzzer::CrashCallback() (/x+0x2)
    #2 0x7f01 in raise (/lib/libc.so+0x3)
    #3 0x55d3 in %s (/x+0x4)
    #4 0x55d4 in hak_free (/x+0x5)
    #5 0x55d5 in execute (/x+0x6)
    #6 0x55d6 in LLVMFuzzerTestOneInput (/x+0x7)
SUMMARY: libFuzzer: deadly signal
"""


class Keys(unittest.TestCase):
    def test_an_oracle_names_the_bug_whatever_the_numbers(self):
        first = failures.describe("crash", ORACLE % (0, 65455, 2, "direct_small", 17), 77)
        second = failures.describe("crash", ORACLE % (785600, 524352, 688, "box", 99), -6)
        self.assertEqual(first.key, second.key)
        self.assertEqual(first.key, "oracle zero: byte # of a block of # bytes is not zero")
        self.assertIn("65455", first.summary)
        self.assertEqual(failures.slug_of(first), "zero")

    def test_another_oracle_is_another_bug(self):
        text = ORACLE % (0, 1, 2, "box", 3)
        self.assertNotEqual(failures.describe("crash", text, 77).key,
                            failures.describe("crash", text.replace("oracle zero", "oracle content"), 77).key)

    def test_lines_of_the_allocator_and_of_sanitizers(self):
        def key(line):
            return failures.describe("crash", "x\n%s\ny\n" % line, 77).key

        self.assertEqual(key("hakmem: free(0x7f1): freed twice"), key("hakmem: free(0x8ac): freed twice"))
        self.assertNotEqual(key("hakmem: free(0x7f1): freed twice"), key("hakmem: free(0x7f1): overflow"))
        self.assertEqual(key("SUMMARY: AddressSanitizer: SEGV lock.c:71:3 in take"),
                         "crash: SUMMARY: AddressSanitizer: SEGV lock.c:#:# in take")
        self.assertIn("Assertion", key("a: b.c:9: f: Assertion `x' failed."))

    def test_frames_where_nothing_was_said(self):
        first = failures.describe("crash", STACK % "list_pop", 77)
        self.assertEqual(first.key, "crash in list_pop hak_free execute")
        self.assertNotEqual(first.key, failures.describe("crash", STACK % "list_push", 77).key)

    def test_a_signal_where_there_is_nothing_else(self):
        self.assertEqual(failures.describe("crash", "", -11).key, "crash: signal 11")

    def test_time_and_memory(self):
        texts = [STACK % name for name in ("list_pop", "list_push")]
        self.assertEqual(*[failures.describe("timeout", text, 70).key for text in texts])
        self.assertNotEqual(failures.describe("timeout", "", 70).key, failures.describe("memory", "", 71).key)

    def test_what_passes(self):
        self.assertEqual(failures.describe(None, "fuzz: oracle zero: not printed by a pass", 0), failures.PASSED)

    def test_identity(self):
        self.assertRegex(failures.identity_of("x"), "^[0-9a-f]{12}$")
        self.assertEqual(failures.identity_of("x"), failures.identity_of("x"))


if __name__ == "__main__":
    unittest.main()
