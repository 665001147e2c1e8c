#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the layer checker on the tree, and on small trees with one violation each, which it must report.

The small trees show that the checker is able to fail: each is a correct allocator of one or two files a layer, with one
file replaced.
"""

import os
import subprocess
import sys
import tempfile
import unittest

TOOLS = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, TOOLS)

import check_layers  # noqa: E402

CHECKER = os.path.join(TOOLS, "check_layers.py")

COMMENT = "// SPDX-License-Identifier: Apache-2.0\n//\n// A file\n// of a small\n// allocator.\n"

# A correct tree. Every layer calls the one below; the permitted skips are used.
CLEAN = {
    "base/size.h": "#include <stddef.h>\nsize_t base_round(size_t size);\n",
    "base/size.c": '#include "allocator/base/size.h"\nsize_t base_round(size_t size) { return (size + 15) & ~15ul; }\n',
    "os/os.h": "#include <stddef.h>\nvoid *os_map(size_t size);\n",
    "os/os.c": '#include <sys/mman.h>\n#include "allocator/base/size.h"\n#include "allocator/os/os.h"\n'
               "void *os_map(size_t size) { return mmap(0, base_round(size), 3, 34, -1, 0); }\n",
    "page_arena/registry.h": "int registry_class(void *block);\n",
    "page_arena/large_block.h": "void *large_block_take(unsigned long size);\n",
    "page_arena/arena.h": "void *arena_take(void);\n",
    "page_arena/arena.c": '#include "allocator/os/os.h"\n#include "allocator/page_arena/arena.h"\n'
                          '#include "allocator/page_arena/large_block.h"\n#include "allocator/page_arena/registry.h"\n'
                          "int registry_class(void *block) { return block != 0; }\n"
                          "void *large_block_take(unsigned long size) { return os_map(size); }\n"
                          "void *arena_take(void) { return os_map(65536); }\n",
    "shared_pool/pool.h": "void *pool_take(void);\n",
    "shared_pool/pool.c": '#include "allocator/page_arena/arena.h"\n#include "allocator/shared_pool/pool.h"\n'
                          "void *pool_take(void) { return arena_take(); }\n",
    "thread_cache/cache.h": "void *cache_pop(void);\n",
    "thread_cache/cache.c": '#include "allocator/page_arena/registry.h"\n#include "allocator/shared_pool/pool.h"\n'
                            '#include "allocator/thread_cache/cache.h"\n'
                            "void *cache_pop(void) { void *b = pool_take(); return registry_class(b) ? b : 0; }\n",
    "api/malloc.c": '#include <string.h>\n#include "allocator/page_arena/large_block.h"\n'
                    '#include "allocator/thread_cache/cache.h"\n'
                    "void *malloc(unsigned long n) { return n > 9 ? large_block_take(n) : memset(cache_pop(), 0, n); }\n",
}


def run_checker(*arguments):
    run = subprocess.run([sys.executable, CHECKER] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         universal_newlines=True, check=False)
    return run.returncode, run.stdout


def small_readme(files):
    rules = "".join("`%s`\n" % header for _, header, _ in check_layers.SKIPS)
    return rules + "\n## Files\n\n" + "".join("    %s  a file\n" % path for path in files)


def check_files(files, readme=None, levels="2"):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            full = os.path.join(root, "allocator", path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as output:
                output.write(text if text.startswith("RAW") else COMMENT + text)  # RAW: without the comment
        with open(os.path.join(root, "allocator/README.md"), "w", encoding="utf-8") as output:
            output.write(readme if readme is not None else small_readme(files))
        return run_checker("--root", root, "--levels", levels)


class SmallTrees(unittest.TestCase):
    maxDiff = None

    def expect(self, expected, changes, levels="2"):
        code, output = check_files({**CLEAN, **changes}, levels=levels)
        self.assertIn(expected, output)
        self.assertEqual(code, 1, output)

    def added(self, path, line):
        return {path: line + "\n" + CLEAN[path]}

    def test_correct_tree_passes(self):
        code, output = check_files(CLEAN)
        self.assertEqual(code, 0, output)

    def test_upward_include(self):
        self.expect('allocator/shared_pool/pool.c: layer shared_pool includes "allocator/thread_cache/cache.h" of layer '
                    "thread_cache, upwards",
                    self.added("shared_pool/pool.c", '#include "allocator/thread_cache/cache.h"'))

    def test_upward_symbol_declared_by_hand(self):
        self.expect("allocator/page_arena/arena.c: layer page_arena refers to cache_pop of layer thread_cache, upwards",
                    {"page_arena/arena.c": CLEAN["page_arena/arena.c"] +
                     "void *cache_pop(void); void *arena_cheat(void) { return cache_pop(); }\n"})

    def test_upward_symbol_in_one_variant(self):
        self.expect("allocator/os/os.c: layer os refers to pool_take of layer shared_pool, upwards",
                    {"os/os.c": CLEAN["os/os.c"] + "#if HAK_CHECKS_LEVEL == 2\nvoid *pool_take(void);\n"
                     "void *os_cheat(void) { return pool_take(); }\n#endif\n"}, levels="0,1,2")

    def test_upward_symbol_of_the_c_library(self):
        self.expect("allocator/os/os.c: layer os refers to malloc of layer api, upwards",
                    {"os/os.c": CLEAN["os/os.c"] + "void *malloc(unsigned long); void *os_cheat(void) "
                     "{ return malloc(1); }\n"})

    def test_system_header(self):
        self.expect("allocator/shared_pool/pool.c: layer shared_pool includes the system header <pthread.h>; only layer os "
                    "may", self.added("shared_pool/pool.c", "#include <pthread.h>"))

    def test_system_symbol(self):
        self.expect("allocator/base/size.c: layer base refers to getpid, which no layer defines; only layer os may use the C "
                    "library", {"base/size.c": CLEAN["base/size.c"] + "int getpid(void); int base_cheat(void) "
                                "{ return getpid(); }\n"})

    def test_skip_that_is_not_listed(self):
        self.expect('allocator/thread_cache/cache.c: layer thread_cache includes "allocator/page_arena/arena.h" of '
                    "layer page_arena, over a layer that lies between",
                    self.added("thread_cache/cache.c", '#include "allocator/page_arena/arena.h"'))
        self.expect("allocator/thread_cache/cache.c: layer thread_cache refers to arena_take of layer page_arena, over a "
                    "layer that lies between",
                    {"thread_cache/cache.c": CLEAN["thread_cache/cache.c"] + "void *arena_take(void);\n"
                     "void *cache_cheat(void) { return arena_take(); }\n"})

    def test_include_cycle(self):
        self.expect("includes go round in a circle: allocator/os/os.h -> allocator/os/b.h -> allocator/os/os.h",
                    {"os/os.h": "#pragma once\n#include \"allocator/os/b.h\"\n" + CLEAN["os/os.h"],
                     "os/b.h": '#pragma once\n#include "allocator/os/os.h"\n'})

    def test_included_c_file(self):
        self.expect('allocator/os/os.c: includes "allocator/base/size.c"; only all_in_one.c includes .c files',
                    self.added("os/os.c", '#include "allocator/base/size.c"'))

    def test_symbol_in_two_layers(self):
        self.expect("symbol base_round is defined in more than one layer: base, os",
                    {"os/round.c": "unsigned long base_round(unsigned long n) { return n; }\n"})

    def test_unknown_include(self):
        self.expect('allocator/os/os.c: layer os includes "bench/clock.h", which belongs to no layer',
                    {"os/os.c": "#if 0\n#include \"bench/clock.h\"\n#endif\n" + CLEAN["os/os.c"]})

    def test_file_that_does_not_compile(self):
        self.expect("allocator/os/os.c: does not compile at checks level 1", {"os/os.c": "#if HAK_CHECKS_LEVEL == 1\n"
                    "#error no\n#endif\n" + CLEAN["os/os.c"]}, levels="0,1")

    def test_empty_layer(self):
        code, output = check_files({path: text for path, text in CLEAN.items() if path != "base/size.c"})
        self.assertIn("allocator/base: there is no .c file to check", output)
        self.assertEqual(code, 1)

    def test_header_comment(self):
        self.expect("allocator/base/plain.h: the first line is not '// SPDX-License-Identifier: Apache-2.0'",
                    {"base/plain.h": "RAW"})
        self.expect("allocator/base/plain.h: has no header comment", {"base/plain.h": "RAW"})

    def test_long_file(self):
        self.expect("allocator/base/long.h: has 605 lines, more than 500", {"base/long.h": "\n" * 600})

    def test_readme(self):
        readme = small_readme(CLEAN).replace("base/size.h ", "base/gone.h ").replace("`page_arena/registry.h`", "")
        code, output = check_files(CLEAN, readme=readme.replace("    os/os.h  a file\n    os/os.c ", "    os/os.h .c "))
        self.assertIn("allocator/README.md: does not say what base/size.h is", output)
        self.assertIn("allocator/README.md: lists base/gone.h, which does not exist", output)
        self.assertIn("allocator/README.md: does not list `page_arena/registry.h` among what is permitted to api", output)
        self.assertIn("4 problems", output)
        self.assertEqual(code, 1)

    def test_exception_for_one_file(self):
        header, text = "shared_pool/shared_pool.h", "int pool_lock(void);\n"
        pool = {"shared_pool/shared_pool.h": text, "shared_pool/pool.c": '#include "allocator/shared_pool/shared_pool.h"\n'
                "int pool_lock(void) { return 0; }\n" + CLEAN["shared_pool/pool.c"]}
        user = '#include "allocator/%s"\nint api_fork(void) { return pool_lock(); }\n' % header
        code, output = check_files({**CLEAN, **pool, "api/statistics.c": user})
        self.assertEqual(code, 0, output)
        self.expect('allocator/api/other.c: layer api includes "allocator/shared_pool/shared_pool.h" of layer shared_pool, '
                    "over a layer that lies between", {**pool, "api/other.c": user})
        self.expect("allocator/api/other.c: layer api refers to pool_lock of layer shared_pool, over a layer that lies "
                    "between", {**pool, "api/other.c": user})


class Repository(unittest.TestCase):
    def test_tree(self):
        code, output = run_checker()
        print(output, file=sys.stderr)
        self.assertEqual(code, 0, "the layer checker reports problems: see above")


if __name__ == "__main__":
    unittest.main()
