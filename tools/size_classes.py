#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generates allocator/base/size_class_table.h and size_class_table_small.h.

A size class is a stride: the distance from one block to the next in a run. The byte before each user pointer holds
the block's header, so a block of stride S serves requests of up to S - 1 bytes. This program chooses the run length
of every class, works out the multiplier that replaces a division by the stride, checks both, and writes the header.
The small one has the same strides in small slabs: fuzz targets reach the ends of slabs and superslabs soon with it.

    tools/size_classes.py                     rewrite both headers
    tools/size_classes.py --check             exit with 1 and a diff if one is not what this program writes
    tools/size_classes.py --geometry small    only that one (or: production)
    tools/size_classes.py --print             print instead of writing
"""

import argparse
import collections
import difflib
import os
import sys

# A run is lengthened until no more than wanted_waste of it is lost before the first and after the last block; no class may
# lose more than allowed_waste.
Geometry = collections.namedtuple(
    "Geometry", "header slab_bytes max_run_slabs minimum_blocks wanted_waste allowed_waste")
GEOMETRIES = {
    "production": Geometry("allocator/base/size_class_table.h", 65536, 16, 8, 0.032, 0.065),
    "small": Geometry("allocator/base/size_class_table_small.h", 8192, 16, 2, 0.3, 0.51),
}
SMALL_MAX = 32768
HEADER_BYTES = 1
GRANULE = 16


def normal_strides():
    """16 to 144 in steps of 16, then four per doubling, each 16 more than a round number.

    The 16 make room for the header: a request for exactly 1024 bytes takes the stride 1040, not the next step 1296.
    """
    strides = list(range(16, 145, 16))
    power = 128
    while power < SMALL_MAX:
        strides += [power + power // 4 * step + GRANULE for step in (1, 2, 3, 4)]
        power *= 2
    return strides


ALIGNED_STRIDES = [64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192]


class SizeClass:
    def __init__(self, geometry, index, stride, alignment):
        self.geometry = geometry
        self.index = index
        self.stride = stride
        self.alignment = alignment
        self.first_offset = alignment
        self.run_slabs = self.choose_run()
        self.run_bytes = self.run_slabs * self.geometry.slab_bytes
        self.blocks = self.blocks_in(self.run_slabs)
        self.reciprocal = 0

    def blocks_in(self, slabs):
        # The last block's usable bytes end one byte before the place of the next header.
        return (slabs * self.geometry.slab_bytes - self.first_offset + HEADER_BYTES) // self.stride

    def waste_in(self, slabs):
        return 1 - self.blocks_in(slabs) * self.stride / (slabs * self.geometry.slab_bytes)

    def choose_run(self):
        longest = self.geometry.max_run_slabs
        candidates = [s for s in range(1, longest + 1) if self.blocks_in(s) >= self.geometry.minimum_blocks]
        for slabs in candidates:
            if self.waste_in(slabs) <= self.geometry.wanted_waste:
                return slabs
        return min(candidates, key=self.waste_in)

    def check(self):
        stride, end = self.stride, self.first_offset + self.blocks * self.stride
        assert stride % self.alignment == 0 and self.first_offset % self.alignment == 0, self.index
        assert end - HEADER_BYTES <= self.run_bytes, "class %d runs over the end of its run" % self.index
        assert end + stride - HEADER_BYTES > self.run_bytes, "class %d leaves out a block" % self.index
        assert self.blocks >= self.geometry.minimum_blocks, "class %d has too few blocks" % self.index
        assert self.waste_in(self.run_slabs) <= self.geometry.allowed_waste, "class %d wastes too much" % self.index


def reciprocal_is_exact(stride, reciprocal, shift, limit):
    """Whether (offset * reciprocal) >> shift is offset / stride for every offset below limit.

    Both sides grow with the offset and the quotient only changes at multiples of the stride, so it is enough to
    look at the multiples, the offsets before them and the last one.
    """
    offsets = [limit - 1]
    for multiple in range(0, limit, stride):
        offsets += [o for o in (multiple - 1, multiple, multiple + 1) if 0 <= o < limit]
    return all((o * reciprocal) >> shift == o // stride for o in offsets)


def choose_reciprocals(classes):
    """Sets the reciprocals and returns the smallest shift that is exact in every class."""
    for shift in range(32, 44):
        for c in classes:
            c.reciprocal = -(-(1 << shift) // c.stride)
        products_fit = all(c.reciprocal * c.run_bytes < 1 << 64 for c in classes)
        if products_fit and all(reciprocal_is_exact(c.stride, c.reciprocal, shift, c.run_bytes) for c in classes):
            return shift
    sys.exit("size_classes.py: no shift gives exact reciprocals")


def lookup_table(normal):
    """Entry n is the first class whose stride is at least 16 n; entry 0 is no class."""
    table, index = [0], 0
    for units in range(1, normal[-1].stride // GRANULE + 1):
        while normal[index].stride < units * GRANULE:
            index += 1
        table.append(normal[index].index)
    # A request of n bytes needs a stride of n + 1, rounded up to 16: entry (n + 16) / 16.
    for size in range(normal[-1].stride):
        chosen = table[(size + GRANULE) >> 4]
        assert normal[chosen - 1].stride > size, size
        assert chosen == 1 or normal[chosen - 2].stride <= size, size
    return table


def generate(geometry):
    normal = [SizeClass(geometry, i, s, GRANULE) for i, s in enumerate(normal_strides(), 1)]
    first_aligned = len(normal) + 1
    aligned = [SizeClass(geometry, i, s, s & -s) for i, s in enumerate(ALIGNED_STRIDES, first_aligned)]
    classes = normal + aligned
    for c in classes:
        c.check()
    assert normal[-1].stride - HEADER_BYTES >= SMALL_MAX
    shift = choose_reciprocals(classes)
    table = lookup_table(normal)

    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        "//",
        "// The size classes: written by tools/size_classes.py, which also checks them. Do not edit.",
        "//",
        "// A class is a stride. Its blocks lie in a run of `slabs` slabs of %d KiB: the first user pointer is at" %
        (geometry.slab_bytes // 1024),
        "// `first offset` from the start of the run, the others follow at every stride. The byte before a user pointer",
        "// is the block's header, so a block of stride S has S - 1 usable bytes. Class 0 means no class.",
        "//",
        "// class   stride  slabs  blocks  alignment  first offset   waste",
    ]
    for c in classes:
        lines.append("// %5d  %7d  %5d  %6d  %9d  %12d  %5.2f%%" % (
            c.index, c.stride, c.run_slabs, c.blocks, c.alignment, c.first_offset, 100 * c.waste_in(c.run_slabs)))
    guard = "HAKMEM_" + geometry.header.upper().replace("/", "_").replace(".", "_") + "_"
    widest = max(classes, key=lambda c: c.blocks)
    lines += [
        "",
        "#ifndef " + guard,
        "#define " + guard,
        "",
        "// clang-format off",
        "",
        "// Classes, counting class 0.",
        "#define HAK_CLASS_COUNT %d" % (len(classes) + 1),
        "// Classes 1 to HAK_CLASS_SMALL_LAST are the normal ones, aligned to 16 bytes; the others keep the alignment",
        "// given in the table.",
        "#define HAK_CLASS_SMALL_LAST %d" % normal[-1].index,
        "#define HAK_CLASS_ALIGNED_FIRST %d" % first_aligned,
        "// The largest request that is served by a class; the last normal class has some bytes more.",
        "#define HAK_SMALL_MAX %d" % SMALL_MAX,
        "// The most blocks and the most slabs in a run of any class.",
        "#define HAK_CLASS_MAX_BLOCKS %d" % widest.blocks,
        "#define HAK_CLASS_MAX_RUN_SLABS %d" % max(c.run_slabs for c in classes),
        "// (offset * reciprocal) >> HAK_RECIPROCAL_SHIFT, in 64 bits, is offset / stride for every offset in the run.",
        "#define HAK_RECIPROCAL_SHIFT %d" % shift,
        "",
        "// X(index, stride, run_slabs, blocks, alignment, first_offset, reciprocal)",
        "#define HAK_CLASS_TABLE(X) \\",
    ]
    rows = ["  X(%d, %d, %d, %d, %d, %d, %d%s)" % (
        c.index, c.stride, c.run_slabs, c.blocks, c.alignment, c.first_offset, c.reciprocal,
        "u" if c.reciprocal < 1 << 32 else "ull") for c in classes]
    lines += [row + " \\" for row in rows[:-1]] + [rows[-1]]
    lines += [
        "",
        "// The class of a request of n bytes, n < %d: entry (n + 16) >> 4. Entry 0 is never the answer." %
        normal[-1].stride,
        "#define HAK_SIZE_TO_CLASS_ENTRIES %d" % len(table),
        "#define HAK_SIZE_TO_CLASS_TABLE { \\",
    ]
    for start in range(0, len(table), 32):
        lines.append("  " + ",".join("%d" % entry for entry in table[start:start + 32]) + ", \\")
    lines += [
        "}",
        "",
        "// clang-format on",
        "",
        "#endif  // " + guard,
        "",
    ]
    return "\n".join(lines)


def check(path, text, name):
    with open(path, encoding="ascii") as header:
        present = header.read()
    if present == text:
        return 0
    sys.stdout.writelines(difflib.unified_diff(
        present.splitlines(True), text.splitlines(True), name, "tools/size_classes.py --print"))
    print("%s is not what tools/size_classes.py writes: run the program, do not edit the header." % name)
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the headers instead of writing them")
    parser.add_argument("--print", action="store_true", help="print the headers instead of writing them")
    parser.add_argument("--geometry", choices=sorted(GEOMETRIES), help="only this one")
    parser.add_argument("--header", help="the header's path, with --geometry (default: beside this program's directory)")
    arguments = parser.parse_args()
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    status = 0
    for name in [arguments.geometry] if arguments.geometry else sorted(GEOMETRIES):
        geometry = GEOMETRIES[name]
        text = generate(geometry)
        path = arguments.header or os.path.join(root, geometry.header)
        if arguments.print:
            sys.stdout.write(text)
        elif arguments.check:
            status |= check(path, text, geometry.header)
        else:
            with open(path, "w", encoding="ascii") as header:
                header.write(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
