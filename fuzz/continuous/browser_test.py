#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The status page in a real browser: the figures of the document that it makes are those of the status, nothing sticks out of
a wide or a narrow window, and the script tells a page that is old.

    tools/bazel test //fuzz/continuous:browser_test
"""

import os
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import browser  # noqa: E402
import page_figures  # noqa: E402
import sample_status  # noqa: E402
import status_page  # noqa: E402

WIDTHS = (1280, 400)
LONG = "a_name_that_is_much_longer_than_any_that_a_person_would_think_of_and_has_no_place_to_break_it_anywhere"


def dump(status):
    with tempfile.TemporaryDirectory() as directory:
        status_page.write(directory, status)
        return page_figures.read(browser.dump(os.path.join(directory, "index.html")))


def with_long_names():
    status = sample_status.sample()
    status["commit"] = status["build"] = LONG
    for target in status["targets"]:
        target["name"] = LONG + target["name"]
        for instance in target["instances"]:
            instance["error"] = LONG
        for crash in target["crashes"]:
            crash.update(summary=LONG, found_by=LONG)
    for file in status["source_coverage"]["files"]:
        file["path"] = file["path"] + LONG
    return status


class Browser(unittest.TestCase):
    def test_figures(self):
        for status in (sample_status.sample(), sample_status.empty()):
            page = dump(status)
            self.assertEqual([], page_figures.differences(status, page.figures))
            self.assertGreater(len(page.figures), 10)

    def test_nothing_sticks_out(self):
        for status in (sample_status.sample(), sample_status.empty(), with_long_names()):
            for width in WIDTHS:
                taken, _, outside = browser.measure(status_page.render(status), width)
                self.assertEqual([], outside, width)
                self.assertLessEqual(taken, width)

    def test_what_sticks_out_is_seen(self):
        page = status_page.render(sample_status.empty())
        for width in WIDTHS:
            wide = page.replace("</main>", f'<div style="width:{width + 50}px">wide</div></main>')
            taken, _, outside = browser.measure(wide, width)
            self.assertGreater(taken, width)
            self.assertTrue([one for one in outside if one.startswith("div=")], outside)

    def test_an_old_page_says_so(self):
        old, new, stopped = (sample_status.empty() for _ in range(3))
        new.update(started=int(time.time()) - 9, now=int(time.time()))
        stopped["running"] = False

        def notes(status):
            return ["hidden" in attributes for _, attributes in dump(status).tags if attributes.get("id") == "old"]

        self.assertEqual([False], notes(old))
        self.assertEqual([True], notes(new))
        self.assertEqual([], notes(stopped))

    def test_no_other_script_runs(self):
        status = sample_status.empty()
        page = status_page.render(status).replace("</main>", "<script>document.title = 'changed'</script></main>")
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "page.html")
            with open(path, "w", encoding="utf-8") as file:
                file.write(page)
            self.assertEqual("running - fuzzing of hakmem", page_figures.read(browser.dump(path)).title)

    def test_picture(self):
        with tempfile.TemporaryDirectory() as directory:
            status_page.write(directory, sample_status.sample())
            picture = os.path.join(directory, "page.png")
            browser.screenshot(os.path.join(directory, "index.html"), picture)
            with open(picture, "rb") as file:
                begin = file.read(24)
            self.assertEqual(b"\x89PNG\r\n\x1a\n", begin[:8])
            width, height = (int.from_bytes(begin[at:at + 4], "big") for at in (16, 20))
            self.assertEqual(1280, width)
            self.assertGreater(height, 2000)


if __name__ == "__main__":
    unittest.main()
