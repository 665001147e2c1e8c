#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A picture of the status page of a run, made by Debian's chromium.

    tools/bazel run //fuzz/continuous:screenshot -- [--width=1280] DIR OUT.png

The page is made anew of DIR/status.json.
"""

import argparse
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import browser  # noqa: E402
import status_page  # noqa: E402


def main(arguments):
    parser = argparse.ArgumentParser(prog="screenshot", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=1280, help="of the window, in pixels; 500 at least")
    parser.add_argument("directory", metavar="DIR")
    parser.add_argument("picture", metavar="OUT.png")
    options = parser.parse_args(arguments)
    # `bazel run` starts it elsewhere.
    start = os.environ.get("BUILD_WORKING_DIRECTORY", "")
    with open(os.path.join(start, options.directory, "status.json"), encoding="utf-8") as file:
        status = json.load(file)
    with tempfile.TemporaryDirectory() as directory:
        status_page.write(directory, status)
        browser.screenshot(os.path.join(directory, "index.html"), os.path.join(start, options.picture), options.width)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (browser.Failure, OSError) as problem:
        sys.exit(f"screenshot: {problem}")
