# SPDX-License-Identifier: Apache-2.0
"""Ordinary programs under `ulimit -v 200000`: with little address space they run as they do without a preloaded library."""


def limited(session, *command, **options):
    # The shell sets the limit, so that it holds before the program and its libraries are loaded.
    session.run(["/usr/bin/sh", "-c", 'ulimit -v 200000; exec "$@"', "sh"] + list(command), **options)


def scenario(session):
    limited(session, "/usr/bin/ls", "-l", "--time-style=+", "/usr/bin")
    limited(session, "/usr/bin/python3", "-c",
            "print(sum(len(str(n)) for n in range(300000)), len([{n: n} for n in range(50000)]))")
    # Threads, whose stacks take from the limit as well.
    limited(session, "/usr/bin/python3", "-c", """
import json, threading
threading.stack_size(262144)
results = []
def work(n): results.append(len(json.dumps(json.loads(json.dumps([{"n": [i, str(i)]} for i in range(3000 + n)])))))
threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
for t in threads: t.start()
for t in threads: t.join()
print(sorted(results))
""")
    # More than there is: an exception, and the program goes on.
    limited(session, "/usr/bin/python3", "-c", """
blocks = []
try:
    while True: blocks.append(bytearray(3_000_000))
except MemoryError:
    print("no memory after", len(blocks) > 20)
count = len(blocks)
del blocks
again = [bytearray(3_000_000) for n in range(count // 2)]
print("again", len(again) == count // 2)
""")
    limited(session, "/usr/bin/python3", "-c", "bytearray(300_000_000)", expected=1)
    limited(session, "/usr/bin/perl", "-e", 'my %h = map { $_ => "x" x ($_ % 99) } 1 .. 60000; print scalar(keys %h), "\\n"')
    limited(session, "/usr/bin/sqlite3", "-batch", ":memory:", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
            "WHERE i < 100000) SELECT sum(i), count(DISTINCT i % 777), length(group_concat(i)) FROM n ORDER BY i % 7")
    session.write("file", "content\n" * 10000)
    git = ["/usr/bin/git", "-c", "init.defaultBranch=main", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    limited(session, *git, "init", "-q", ".")
    limited(session, *git, "add", "file")
    limited(session, *git, "commit", "-q", "-m", "message",
            environment={"GIT_AUTHOR_DATE": "2001-02-03T04:05:06Z", "GIT_COMMITTER_DATE": "2001-02-03T04:05:06Z"})
    limited(session, *git, "log", "-p", "--stat")
