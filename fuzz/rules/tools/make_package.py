#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packs a fuzzing binary, with what goes with it, as OSS-Fuzz wants it in its output directory.

    NAME, NAME_seed_corpus.zip, NAME.dict, NAME.options, NAME.runfiles/

The archive depends on the files' contents alone.

    make_package.py --output=TAR --name=NAME --binary=FILE [--corpus=DIRECTORY] [--dictionary=FILE] [--options=FILE]
                    [--runfile=PATH=FILE ...]
"""

import argparse
import io
import os
import sys
import tarfile
import zipfile

# The first time that a zip file can have.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def read(path):
    with open(path, "rb") as source:
        return source.read()


def zip_corpus(directory):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(os.listdir(directory)):
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, read(os.path.join(directory, name)))
    return buffer.getvalue()


def add(archive, name, data, mode):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ["output", "name", "binary"]:
        parser.add_argument("--" + name, required=True)
    for name in ["corpus", "dictionary", "options"]:
        parser.add_argument("--" + name)
    parser.add_argument("--runfile", action="append", default=[])
    options = parser.parse_args(arguments)
    with tarfile.open(options.output, "w", format=tarfile.USTAR_FORMAT) as archive:
        add(archive, options.name, read(options.binary), 0o755)
        if options.corpus:
            add(archive, options.name + "_seed_corpus.zip", zip_corpus(options.corpus), 0o644)
        if options.dictionary:
            add(archive, options.name + ".dict", read(options.dictionary), 0o644)
        if options.options:
            add(archive, options.name + ".options", read(options.options), 0o644)
        for runfile in options.runfile:
            path, file = runfile.split("=", 1)
            mode = 0o755 if os.access(file, os.X_OK) else 0o644
            add(archive, os.path.normpath("%s.runfiles/%s" % (options.name, path)), read(file), mode)


if __name__ == "__main__":
    main(sys.argv[1:])
