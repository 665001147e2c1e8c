#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files that are whole or not there at all, whenever the process that writes them is killed."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time

from trial import Failure


def sha1_of(data):
    return hashlib.sha1(data).hexdigest()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data, temporary=None):
    """data is bytes, or a text. The temporary file is on the same file system; beside path unless it is named."""
    temporary = temporary or path + ".new"
    with open(temporary, "wb") as file:
        file.write(data.encode("utf-8") if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_json(path, value):
    write(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def read_json(path, otherwise=None):
    """What a whole file says; otherwise where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return otherwise


def entries(directory):
    """Names of the files of a directory, which may be missing. Those that begin with a dot are not whole yet."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        with os.scandir(directory) as found:
            return sorted(entry.name for entry in found if not entry.name.startswith(".") and entry.is_file())
    return []


def remove(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def bytes_below(directory):
    """Bytes on the disk. Files that vanish meanwhile count nothing."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += 512 * os.lstat(os.path.join(folder, name)).st_blocks
    return total


def sync_directory(path):
    """What was renamed into a directory outlives a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class NewDirectory:
    """A directory that is built beside its place and then moved there, whole."""

    def __init__(self, path):
        self.path, self.building = path, os.path.join(os.path.dirname(path), ".new-" + os.path.basename(path))

    def __enter__(self):
        shutil.rmtree(self.building, ignore_errors=True)
        os.makedirs(self.building)
        return self.building

    def __exit__(self, problem, *_):
        if problem is None:
            os.rename(self.building, self.path)
            sync_directory(os.path.dirname(self.path))
        else:
            shutil.rmtree(self.building, ignore_errors=True)


# A child of a runner that was killed holds its lock too, until it becomes the engine.
LOCK_SECONDS = 5


def lock(directory):
    """Held until the file that is returned is closed, or the process is gone."""
    os.makedirs(directory, exist_ok=True)
    held = open(os.path.join(directory, "lock"), "w", encoding="utf-8")
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held
        except BlockingIOError:
            if time.monotonic() >= end:
                held.close()
                raise Failure("another runner uses " + directory) from None
            time.sleep(0.05)
