# SPDX-License-Identifier: Apache-2.0
"""Debian's chromium without a window: what it makes of a page, as a document and as a picture."""

import html
import os
import re
import shutil
import subprocess
import tempfile

PROGRAM = "chromium"
SECONDS = 120
# Tall enough for a page that is cut off in no case that is looked at by a person.
HEIGHT_MOST = 16000


class Failure(Exception):
    """What the user should read without a stack trace."""


def run(arguments, url):
    """What it prints. The profile is its own, so that no other instance is asked to do it."""
    if shutil.which(PROGRAM) is None:
        raise Failure("chromium is missing: apt-get install chromium")
    with tempfile.TemporaryDirectory() as directory:
        # Its cache and settings go to the home directory otherwise.
        environment = dict(os.environ, HOME=directory, XDG_CONFIG_HOME=directory, XDG_CACHE_HOME=directory)
        command = [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                   "--no-first-run", "--user-data-dir=" + os.path.join(directory, "profile"), *arguments, url]
        try:
            result = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, check=False, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise Failure(f"chromium did not end within {SECONDS} s") from None
    if result.returncode != 0:
        raise Failure(f"chromium ended with status {result.returncode}:\n{result.stderr.decode(errors='replace')[-2000:]}")
    return result.stdout.decode("utf-8", "replace")


def url_of(path):
    return "file://" + os.path.abspath(path)


def dump(path):
    """The document as it is after the browser read it and ran its script."""
    return run(["--dump-dom"], url_of(path))


def measure(text, width):
    """The width and height that a page takes in a window so wide, and what sticks out of it, as (tag, pixels).

    A window has at least 500 pixels, so the page is in a frame.
    """
    frame = f"""<!DOCTYPE html><meta charset="utf-8"><body style="margin:0"><iframe id="page" style="border:0;width:{width}px;
height:900px" srcdoc="{html.escape(text)}"></iframe><pre id="found"></pre><script>
document.getElementById("page").onload = function () {{
  var page = this.contentDocument, found = [];
  page.querySelectorAll("body *").forEach(function (element) {{
    var right = element.getBoundingClientRect().right;
    if (right > {width} + 1 && !element.closest(".scroll *")) found.push(element.localName + "=" + Math.ceil(right));
  }});
  document.getElementById("found").textContent =
    page.documentElement.scrollWidth + " " + page.documentElement.scrollHeight + " " + found.join(" ") + " end";
}};
</script>"""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "frame.html")
        with open(path, "w", encoding="utf-8") as file:
            file.write(frame)
        found = re.search(r'<pre id="found">(\d+) (\d+) (.*?) ?end</pre>', dump(path))
    if found is None:
        raise Failure("chromium did not measure the page")
    return int(found[1]), int(found[2]), found[3].split()


def screenshot(page, picture, width=1280):
    """The whole page, not only what a window would show."""
    with open(page, encoding="utf-8") as file:
        height = min(measure(file.read(), width)[1], HEIGHT_MOST)
    picture = os.path.abspath(picture)
    if os.path.exists(picture):
        os.remove(picture)
    run([f"--window-size={width},{height}", "--screenshot=" + picture], url_of(page))
    if not os.path.exists(picture):
        raise Failure("chromium wrote no " + picture)
