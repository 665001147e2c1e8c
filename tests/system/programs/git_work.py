# SPDX-License-Identifier: Apache-2.0
"""git on a repository with generated content: commits, branches, merges, log, blame, repack with threads, clone, fsck.

The content comes from a fixed seed and all dates are given, so that every commit has the same name in each run.
"""

import random

ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "Author", "GIT_AUTHOR_EMAIL": "author@example.org", "GIT_AUTHOR_DATE": "2001-02-03T04:05:06Z",
    "GIT_COMMITTER_NAME": "Author", "GIT_COMMITTER_EMAIL": "author@example.org",
    "GIT_COMMITTER_DATE": "2001-02-03T04:05:06Z", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_PAGER": "cat",
}
SETTINGS = ["-c", "init.defaultBranch=main", "-c", "gc.auto=0", "-c", "pack.threads=4", "-c", "core.preloadIndex=true",
            "-c", "index.threads=4", "-c", "grep.threads=4", "-c", "protocol.file.allow=always"]


def git(session, *arguments, **options):
    return session.run(["/usr/bin/git"] + SETTINGS + list(arguments), environment=ENVIRONMENT, **options)


def words(generator, count):
    return " ".join(generator.choice(("block", "slab", "free", "page", "list", "cache", "pool")) + str(generator.randrange(500))
                    for _ in range(count))


def write_files(session, generator, repository, numbers, lines=120):
    for number in numbers:
        session.write(f"{repository}/folder{number % 17}/file{number}.txt",
                      "".join(words(generator, generator.randrange(2, 12)) + "\n" for _ in range(lines)))


def make_repository(session, files, commits):
    """Makes a repository in the folder repository, with a side branch that is merged."""
    generator = random.Random(7)
    git(session, "init", "-q", "repository")
    write_files(session, generator, "repository", range(files))
    git(session, "-C", "repository", "add", ".")
    git(session, "-C", "repository", "commit", "-q", "-m", "first")
    for number in range(commits):
        if number == commits // 2:
            git(session, "-C", "repository", "checkout", "-q", "-b", "side", "HEAD~3")
            write_files(session, generator, "repository", [files + 1, files + 2])
            git(session, "-C", "repository", "add", ".")
            git(session, "-C", "repository", "commit", "-q", "-m", "on the side")
            git(session, "-C", "repository", "checkout", "-q", "main")
            git(session, "-C", "repository", "merge", "-q", "--no-ff", "-m", "merge", "side")
        write_files(session, generator, "repository", generator.sample(range(files), 12))
        git(session, "-C", "repository", "commit", "-q", "-a", "-m", f"commit {number}\n\n{words(generator, 30)}")


def make_large_repository(session, name, commits=100, files=25, lines=900):
    """Makes a repository with a long history of larger files, through fast-import, which is quick."""
    generator = random.Random(9)
    line_pool = [words(generator, generator.randrange(4, 14)) for _ in range(5000)]
    contents = [[generator.choice(line_pool) for _ in range(lines)] for _ in range(files)]
    stream = []
    for number in range(commits):
        message = words(generator, 20)
        stream.append(f"commit refs/heads/main\ncommitter Author <author@example.org> {981173106 + number} +0000\n"
                      f"data {len(message)}\n{message}\n")
        for file in range(files) if number == 0 else generator.sample(range(files), 5):
            for _ in range(30):
                contents[file][generator.randrange(lines)] = generator.choice(line_pool)
            text = "\n".join(contents[file]) + "\n"
            stream.append(f"M 100644 inline folder{file % 7}/file{file}.txt\ndata {len(text)}\n{text}\n")
    git(session, "init", "-q", name)
    git(session, "-C", name, "fast-import", "--quiet", stdin="".join(stream))
    git(session, "-C", name, "reset", "-q", "--hard", "main")


def scenario(session):
    make_repository(session, files=300, commits=20)
    here = ("-C", "repository")
    git(session, *here, "log", "-p", "--stat", "--graph")
    git(session, *here, "log", "--format=%H %an %s", "--all", "--topo-order", "-S", "cache42")
    git(session, *here, "diff", "--word-diff", "HEAD~5")
    git(session, *here, "diff", "-M", "--histogram", "HEAD~8", "HEAD")
    git(session, *here, "blame", "folder3/file3.txt")
    git(session, *here, "grep", "-n", "-E", "slab4[0-9] pool", "HEAD~2")
    # A pack made by several threads may hold other deltas each time: what must be the same is what it contains.
    git(session, *here, "repack", "-a", "-d", "-f", "--depth=50", "--window=20", "-q")
    git(session, *here, "cat-file", "--batch-all-objects", "--batch-check")
    git(session, *here, "fsck", "--full", "--strict", "--no-progress")
    git(session, *here, "gc", "--quiet", "--prune=now")
    git(session, "clone", "-q", "--no-local", "repository", "clone")
    git(session, "-C", "clone", "fsck", "--full", "--no-progress")
    git(session, "-C", "clone", "rev-list", "--objects", "--all")
    git(session, "-C", "clone", "status", "--porcelain", "--branch")
    git(session, *here, "archive", "--format=tar", "-o", "../archive.tar", "HEAD")
    session.observe_file("archive.tar")
    git(session, *here, "format-patch", "-q", "-o", "../patches", "HEAD~6")
    git(session, "-C", "clone", "checkout", "-q", "-b", "again", "HEAD~6")
    # What this commit changes other commits changed before: a conflict.
    git(session, "-C", "clone", "cherry-pick", "main~2", expected=1)
    git(session, "-C", "clone", "diff")
    git(session, "-C", "clone", "cherry-pick", "--abort")
    write_files(session, random.Random(8), "clone", range(1000, 1020))
    git(session, "-C", "clone", "add", ".")
    git(session, "-C", "clone", "commit", "-q", "-m", "new files")
    git(session, "-C", "clone", "rebase", "-q", "main~1")
    git(session, "-C", "clone", "log", "--raw", "-3")
    git(session, "-C", "clone", "rev-parse", "HEAD")
    git(session, "-C", "clone", "push", "-q", "origin", "again")
    git(session, *here, "for-each-ref")
    git(session, *here, "show", "no-such-revision", expected=128)
