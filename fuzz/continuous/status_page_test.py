#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The status page, read by an HTML parser: its figures are those of the status, and text of others stays text."""

import copy
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import page_figures  # noqa: E402
import page_words  # noqa: E402
import sample_status  # noqa: E402
import status_page  # noqa: E402

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>&amp;\''


def read(status):
    return page_figures.read(status_page.render(status))


def made_hostile(value):
    """Every string of a status with markup in it, but the state of an engine, which chooses how it is shown."""
    if isinstance(value, dict):
        return {name: one if name == "state" else made_hostile(one) for name, one in value.items()}
    if isinstance(value, list):
        return [made_hostile(one) for one in value]
    return HOSTILE + value if isinstance(value, str) else value


class Figures(unittest.TestCase):
    def check(self, status):
        page = read(status)
        self.assertEqual([], page_figures.differences(status, page.figures))
        return page

    def test_of_the_sample(self):
        page = self.check(sample_status.sample())
        self.assertGreater(len(page.figures), 150)

    def test_a_wrong_figure_is_seen(self):
        status = sample_status.sample()
        figures = read(status).figures
        for key in figures:
            wrong = dict(figures)
            wrong[key] = "1,000,000,000,000"
            self.assertEqual(1, len(page_figures.differences(status, wrong)), key)
        one_less = dict(figures)
        del one_less["targets/faults/instances/afl_structured/executions"]
        self.assertEqual(1, len(page_figures.differences(status, one_less)))

    def test_of_nothing(self):
        page = self.check(sample_status.empty())
        for words in ("No crash has been found.", "There is no target yet.", "It has not been measured yet."):
            self.assertIn(words, page.text)

    def test_of_a_target_without_anything(self):
        status = sample_status.empty()
        status["targets"] = [sample_status.target("faults", 1, instances=[], coverage_over_time=[], last_new_path=None)]
        status["source_coverage"] = {"time": status["now"], "files": []}
        page = self.check(status)
        for words in ("No engine has been started yet.", "there is no sample yet", "none yet", "execute no source file"):
            self.assertIn(words, page.text)

    def test_one_sample_or_always_the_same(self):
        status = sample_status.sample()
        status["targets"][0]["coverage_over_time"] = [[sample_status.NOW, 77]]
        status["targets"][1]["coverage_over_time"] = [[sample_status.NOW - 9, 5], [sample_status.NOW, 5]]
        page = self.check(status)
        self.assertIn("0,50 1000,50", page.curves)
        self.assertIn("0.0,50.0 1000.0,50.0", page.curves)

    def test_no_disk_limit_and_a_full_disk(self):
        status = sample_status.empty()
        status["limits"].update(disk_bytes=100, disk_used_bytes=120)
        self.assertIn("nearly full", self.check(status).text)
        status["limits"].update(disk_bytes=0, disk_used_bytes=0)
        self.check(status)


class Words(unittest.TestCase):
    def test_sizes(self):
        for number, text in ((0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1 << 20, "1.0 MiB"),
                             (20 << 30, "20.0 GiB"), (3 << 50, "3072.0 TiB")):
            self.assertEqual(text, page_words.size(number))

    def test_durations(self):
        for seconds, text in ((-5, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min"),
                              (86399, "23 h 59 min"), (86400, "1 d 0 h"), (1e7, "115 d 17 h")):
            self.assertEqual(text, page_words.duration(seconds))

    def test_rates_shares_and_times(self):
        self.assertEqual(["0.0", "9.4", "10", "1,234"], [page_words.rate(one) for one in (0, 9.4, 10.2, 1234.4)])
        self.assertEqual(["99.9", "100.0", "-"], [page_words.percent(*one) for one in ((9999, 10000), (7, 7), (0, 0))])
        self.assertEqual("2025-11-24 16:00:00 UTC", page_words.moment(sample_status.NOW))


class Curves(unittest.TestCase):
    def test_rises_to_the_right(self):
        for curve in read(sample_status.sample()).curves:
            points = [tuple(map(float, point.split(","))) for point in curve.split()]
            self.assertLessEqual(len(points), status_page.PLOT_POINTS)
            self.assertEqual((0, 96), points[0])
            self.assertEqual((1000, 4), points[-1])
            self.assertEqual(points, sorted(points, key=lambda point: (point[0], -point[1])))


class Text(unittest.TestCase):
    def test_hostile_strings_stay_text(self):
        plain, hostile = sample_status.sample(), made_hostile(sample_status.sample())
        ours, theirs = read(plain), read(hostile)
        self.assertEqual([tag for tag, _ in ours.tags], [tag for tag, _ in theirs.tags])
        for tag, attributes in theirs.tags:
            self.assertFalse([name for name in attributes if name.startswith("on")], tag)
        self.assertIn(HOSTILE, theirs.text)
        self.assertEqual([], page_figures.differences(hostile, theirs.figures))

    def test_links_lead_below_the_directory(self):
        status = sample_status.sample()
        crash = status["targets"][0]["crashes"][0]
        crash.update(input="javascript:alert(1)", list="//example.org/x", program="a b?c#d%20/ü")
        links = [attributes["href"] for tag, attributes in read(status).tags if tag == "a"]
        for path in ("./javascript%3Aalert%281%29", ".///example.org/x", "./a%20b%3Fc%23d%2520/%C3%BC"):
            self.assertIn(path, links)
        self.assertTrue(all(one.startswith(("./", "#")) for one in links), links)

    def test_links_within_the_page_have_an_end(self):
        page = read(made_hostile(sample_status.sample()))
        ends = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
        within = {attributes["href"][1:] for tag, attributes in page.tags if tag == "a" and attributes["href"][0] == "#"}
        self.assertTrue(within)
        self.assertLessEqual(within, ends)

    def test_links_to_what_there_is(self):
        page = read(sample_status.sample())
        links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
        first, second = "./differential/crashes/0f3a5c7e9b1d/", "./differential/crashes/a1b2c3d4e5f6/"
        self.assertEqual([first + name for name in ("list.txt", "program.c", "input",
                                                    "regress/differential/content_0f3a5c7e9b1d")],
                         [link for link in links if link.startswith(first)])
        self.assertEqual([second + name for name in ("input", "regress/differential/content_a1b2c3d4e5f6")],
                         [link for link in links if link.startswith(second)])

    def test_what_did_not_fail_again(self):
        status = sample_status.sample()
        status["targets"][1]["crashes"] = [sample_status.crash("77d0c0ffee00", "faults", regression=None, reproduced=0,
                                                               first_seen=sample_status.NOW)]
        page = read(status)
        self.assertEqual([], page_figures.differences(status, page.figures))
        self.assertLess(page.text.index("a1b2c3d4e5f6"), page.text.index("77d0c0ffee00"))
        self.assertIn("did not fail each time", page.text)
        self.assertNotIn("None", page.text)

    def test_what_is_fixed(self):
        status = sample_status.sample()
        status["targets"][0]["crashes"][0]["fixed_in"] = "c0ffee001122"
        page = read(status)
        self.assertEqual([], page_figures.differences(status, page.figures))
        self.assertIn("fixed in c0ffee001122", page.text)
        self.assertEqual("1 crash, running - fuzzing of hakmem", page.title)
        self.assertEqual(1, page.text.count("open"))
        self.assertLess(page.text.index("a1b2c3d4e5f6"), page.text.index("0f3a5c7e9b1d"), "what is open stands first")

    def test_an_unknown_state(self):
        status = sample_status.sample()
        status["targets"][0]["instances"][0]["state"] = HOSTILE
        page = read(status)
        self.assertEqual(len(read(sample_status.sample()).tags), len(page.tags))
        self.assertIn(HOSTILE, page.text)

    def test_crashes_stand_before_targets(self):
        text = read(sample_status.sample()).text
        self.assertLess(text.index("2 crashes"), text.index("All engines of each target"))
        self.assertLess(text.index("0f3a5c7e9b1d"), text.index("a1b2c3d4e5f6"), "the newest first")

    def test_title_and_state(self):
        status = sample_status.sample()
        self.assertEqual("2 crashes, running - fuzzing of hakmem", read(status).title)
        status["running"] = False
        self.assertEqual("2 crashes, stopped - fuzzing of hakmem", read(status).title)
        self.assertEqual("running - fuzzing of hakmem", read(sample_status.empty()).title)


class Page(unittest.TestCase):
    def test_needs_nothing_from_elsewhere(self):
        page = read(sample_status.sample())
        for tag, attributes in page.tags:
            self.assertNotIn("src", attributes, tag)
            if tag == "link":
                self.assertEqual("data:,", attributes["href"])
        self.assertIn(("meta", {"http-equiv": "refresh", "content": str(status_page.REFRESH_SECONDS)}), page.tags)
        self.assertNotIn("http:", page.style)

    def test_tables_have_headers(self):
        page = read(sample_status.sample())
        self.assertEqual({"col", "row"}, {attributes.get("scope") for tag, attributes in page.tags if tag == "th"})
        count = [tag for tag, _ in page.tags].count
        self.assertEqual(count("table"), count("caption"))
        self.assertEqual(3, count("svg"))
        self.assertTrue(all("aria-label" in attributes for tag, attributes in page.tags if tag == "svg"))

    def test_colours_can_be_told_apart(self):
        for colours in page_figures.palettes(page_figures.read(status_page.render(sample_status.empty())).style):
            for name in ("text", "quiet", "link", "good", "bad"):
                for ground in ("page", "raised", "bad-page"):
                    contrast = page_figures.contrast(colours[name], colours[ground])
                    # As WCAG 2 has it for text of this size, https://www.w3.org/TR/WCAG22/#contrast-minimum.
                    self.assertGreaterEqual(contrast, 4.5, (name, ground))


class Program(unittest.TestCase):
    SCRIPT = os.path.join(HERE, "status_page.py")

    def run_it(self, *arguments):
        return subprocess.run([sys.executable, "-B", self.SCRIPT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False, encoding="utf-8")

    def test_writes_the_page(self):
        with tempfile.TemporaryDirectory() as directory:
            status = sample_status.sample()
            with open(os.path.join(directory, "status.json"), "w", encoding="utf-8") as file:
                json.dump(status, file)
            result = self.run_it(directory)
            self.assertEqual((0, ""), (result.returncode, result.stderr))
            self.assertEqual(["index.html", "status.json"], sorted(os.listdir(directory)))
            with open(os.path.join(directory, "index.html"), encoding="utf-8") as file:
                self.assertEqual(status_page.render(copy.deepcopy(status)), file.read())

    def test_a_damaged_status(self):
        for text in ('{"version": 1, "sta', "[]", '{"version": 1}', '"text"', "\x00",
                     json.dumps(dict(sample_status.sample(), now="x"))):
            with tempfile.TemporaryDirectory() as directory:
                with open(os.path.join(directory, "status.json"), "w", encoding="utf-8") as file:
                    file.write(text)
                result = self.run_it(directory)
                self.assertEqual(1, result.returncode, text)
                self.assertEqual(1, result.stderr.count("\n"), result.stderr)
                self.assertIn("status.json is not what the runner writes", result.stderr)
                self.assertEqual(["status.json"], os.listdir(directory))

    def test_without_a_status(self):
        with tempfile.TemporaryDirectory() as directory:
            result = self.run_it(directory)
            self.assertEqual(1, result.returncode)
            self.assertIn("status.json", result.stderr)
            self.assertNotIn("Traceback", result.stderr)
            self.assertIn("status_page.py DIR", self.run_it().stderr)


if __name__ == "__main__":
    unittest.main()
