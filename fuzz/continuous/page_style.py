# SPDX-License-Identifier: Apache-2.0
"""The style sheet of the status page, and the one script in it, without which the page says the same of the run."""

import base64
import hashlib

STYLE = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #1a1c1e; --quiet: #55595e; --line: #d5d8dc; --raised: #f4f5f7;
  --link: #0b57a4; --good: #1a6b35; --bad: #b3161b; --bad-page: #fdeeee; --curve: #0b57a4; --covered: #2f7d4a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #16181b; --text: #e6e8ea; --quiet: #a4a9af; --line: #3a3e43; --raised: #1f2226;
    --link: #8bbcf2; --good: #7fd49a; --bad: #ff9a98; --bad-page: #3a1c1e; --curve: #8bbcf2; --covered: #5cb37b;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 76rem; padding: 1rem 1rem 4rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, "Liberation Sans", "DejaVu Sans", sans-serif; overflow-wrap: anywhere;
}
h1 { font-size: 1.5rem; margin: 0.5rem 0; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 0.5rem; border-top: 1px solid var(--line); padding-top: 1rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 0.25rem; }
p { margin: 0.5rem 0; }
a { color: var(--link); }
code { font: 0.9em/1.4 ui-monospace, "Liberation Mono", "DejaVu Sans Mono", monospace; }
.quiet { color: var(--quiet); }
.good { color: var(--good); }
.bad { color: var(--bad); font-weight: 600; }
.problem { border: 2px solid var(--bad); background: var(--bad-page); padding: 0.25rem 1rem 1rem; margin: 1rem 0; }
.problem h2 { border: 0; margin: 0; padding-top: 0.5rem; color: var(--bad); }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr)); gap: 0.75rem 1.25rem; margin: 1rem 0; }
.facts dt { color: var(--quiet); font-size: 0.85rem; }
.facts dd { margin: 0; }
.facts dd small { color: var(--quiet); display: block; }
.facts dd small.bad { color: var(--bad); }
.scroll { overflow-x: auto; margin: 0.5rem 0; }
.scroll:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); padding-bottom: 0.25rem; }
th, td { padding: 0.3rem 0.75rem 0.3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  white-space: nowrap; overflow-wrap: normal; }
thead th { color: var(--quiet); font-weight: 600; font-size: 0.85rem; vertical-align: bottom; }
tbody th { font-weight: 600; }
tr.group th, tfoot th, tfoot td { font-weight: 600; background: var(--raised); }
.number { text-align: right; }
td.long { white-space: normal; overflow-wrap: anywhere; min-width: 14rem; }
.bar { background: var(--line); height: 0.6rem; min-width: 6rem; margin-top: 0.4rem; }
.bar div { background: var(--covered); height: 100%; }
.bar.full div { background: var(--bad); }
.plot { margin: 0.5rem 0 1rem; display: grid; grid-template-columns: auto 1fr; gap: 0 0.5rem; font-size: 0.85rem;
  color: var(--quiet); }
.plot .top { grid-area: 1 / 1; text-align: right; }
.plot .bottom { grid-area: 1 / 1; align-self: end; text-align: right; }
.plot svg { grid-area: 1 / 2; width: 100%; height: 8rem; display: block; background: var(--raised); }
.plot .times { grid-area: 2 / 2; display: flex; justify-content: space-between; gap: 1rem; }
.plot polyline { fill: none; stroke: var(--curve); stroke-width: 2; vector-effect: non-scaling-stroke; }
.plot line { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
@media (max-width: 40rem) { .plot .times span + span { text-align: right; } }
"""

# A page that is not written any more goes on saying "running": only the reader's clock can tell.
SCRIPT = """
(function () {
  var note = document.getElementById("old");
  if (note && Date.now() / 1000 - Number(note.dataset.written) > Number(note.dataset.limit)) note.hidden = false;
})();
"""


def content_policy():
    """Nothing is fetched, and no other script runs, whatever text came into the page."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
