#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the corpus directory, the dictionary and the archive that cc_fuzz_test makes, and the programs that make them."""

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile

HERE = os.path.dirname(os.path.realpath(__file__))
TOOLS = os.path.join(HERE, "..", "tools")
FILES = None


def run_tool(name, *arguments):
    return subprocess.run([sys.executable, os.path.join(TOOLS, name)] + list(arguments), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, check=False)


class Directory(unittest.TestCase):
    """A test with a directory for its files."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def write(self, name, data):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as output:
            output.write(data)
        return path


class DictionaryTest(Directory):
    def merge(self, *texts):
        paths = [self.write("%d.dict" % number, text) for number, text in enumerate(texts)]
        self.output = os.path.join(self.directory, "output")
        return run_tool("merge_dictionaries.py", "--output=" + self.output, *paths)

    def test_good_lines(self):
        run = self.merge(b'# comment\n\nword="a b"\n  "\\\\ \\" \\x00\\xFf"\nlast="~!"', b'other="a b"\nnew="#"\n')
        self.assertEqual(run.returncode, 0, run.stdout)
        with open(self.output, encoding="ascii") as output:
            self.assertEqual(output.read(), 'word="a b"\n"\\\\ \\" \\x00\\xFf"\nlast="~!"\nnew="#"\n')

    def test_bad_lines(self):
        for line in [b"word", b'word="', b'word="a', b'""', b'a b="c"', b'"a" b', b'"\\n"', b'"\\x4"', b'"\\xGG"', b'"a"b"',
                     b'"\xc3\xa4"', b'"\x01"', b'"' + 129 * b"a" + b'"', b"'a'", b'"\\"']:
            run = self.merge(b'good="a"\n' + line + b"\n")
            self.assertNotEqual(run.returncode, 0, line)
            self.assertIn("0.dict:2: ", run.stdout, line)
            self.assertFalse(os.path.exists(self.output))

    def test_longest_value(self):
        self.assertEqual(self.merge(b'"' + 128 * b"\\x00" + b'"\n').returncode, 0)

    def test_of_the_toy(self):
        with open(FILES.dictionary, encoding="ascii") as dictionary:
            self.assertEqual(dictionary.read(), 'again="FUZ"\nother="Z!"\n"!\\x00\\"\\\\"\n')


class CorpusTest(Directory):
    def make(self, *paths):
        output = os.path.join(self.directory, "output")
        run = run_tool("make_corpus.py", "--package=" + self.directory, "--output=" + output, *paths)
        self.assertEqual(run.returncode, 0, run.stdout)
        contents = {}
        for name in os.listdir(output):
            with open(os.path.join(output, name), "rb") as file:
                contents[name] = file.read()
        return contents

    def test_equal_names(self):
        paths = [self.write(name, name.encode()) for name in ["a/x", "b/x", "a-x", "x", "a/b/x"]]
        self.assertEqual(self.make(*paths), {"a-x": b"a/x", "b-x": b"b/x", "a-x-2": b"a-x", "x": b"x", "a-b-x": b"a/b/x"})

    def test_directory(self):
        for name in ["made/1", "made/more/2"]:
            self.write(name, name.encode())
        self.assertEqual(self.make(os.path.join(self.directory, "made")),
                         {"made-1": b"made/1", "made-more-2": b"made/more/2"})

    def test_nothing(self):
        self.assertEqual(self.make(), {"empty_test": b""})

    def test_of_the_toy(self):
        self.assertEqual(sorted(os.listdir(FILES.corpus)), ["corpus-first-input", "corpus-second-input"])


class PackageTest(unittest.TestCase):
    def test_of_the_toy(self):
        with tarfile.open(FILES.package) as archive:
            members = {member.name: member for member in archive.getmembers()}
            self.assertEqual(sorted(members), ["toy", "toy.dict", "toy.options", "toy_seed_corpus.zip"])
            self.assertTrue(all(member.isfile() for member in members.values()))
            self.assertEqual(members["toy"].mode, 0o755)
            contents = {name: archive.extractfile(name).read() for name in members}
        self.assertTrue(contents["toy"].startswith(b"\x7fELF"))
        # What the scripts of OSS-Fuzz tell fuzz targets by.
        self.assertTrue(b"LLVMFuzzerTestOneInput" in contents["toy"])
        self.assertIn(b"max_len = 64", contents["toy.options"])
        with open(FILES.dictionary, "rb") as dictionary:
            self.assertEqual(contents["toy.dict"], dictionary.read())
        with zipfile.ZipFile(io.BytesIO(contents["toy_seed_corpus.zip"])) as corpus:
            self.assertEqual({name: corpus.read(name) for name in corpus.namelist()},
                             {"corpus-first-input": b"FU", "corpus-second-input": b"other"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ["corpus", "dictionary", "package"]:
        parser.add_argument("--" + option, required=True)
    FILES = parser.parse_args()
    unittest.main(argv=sys.argv[:1], verbosity=2)
