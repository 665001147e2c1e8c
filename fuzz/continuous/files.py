#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files that are whole or not there at all, whenever the process that writes them is killed."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import sys
import time

from trial import Failure


# The end of the name of what was set aside.
BAD = ".bad"
# No mistake of the program's: the disk, or what somebody made of it.
OF_THE_DISK = {errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ENOSPC, errno.ENOTDIR,
               errno.EPERM, errno.EROFS, errno.ESTALE}


def sha1_of(data):
    return hashlib.sha1(data).hexdigest()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data, temporary=None):
    """data is bytes, or a text. The temporary file is on the same file system; beside path unless it is named."""
    temporary = temporary or path + ".new"
    try:
        with open(temporary, "wb") as file:
            file.write(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        # On a full disk half a file would take the room of a whole one.
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_json(path, value):
    write(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def read_json(path, otherwise=None):
    """What a whole file says; otherwise where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return otherwise


def set_aside(path, why):
    """What cannot be used is not thrown away, as somebody may have put it there."""
    number, place = 1, path + BAD
    while os.path.lexists(place):
        number += 1
        place = "%s%s%d" % (path, BAD, number)
    try:
        os.rename(path, place)
    except FileNotFoundError:
        return  # another thread did
    print("%s %s: it is now %s" % (path, why, os.path.basename(place)), file=sys.stderr, flush=True)


def read_own_json(path, otherwise, is_good):
    """As read_json, but what is damaged, or not ours as is_good says of it, is set aside."""
    try:
        value = read_json(path, otherwise)
        if value is otherwise or is_good(value):
            return value
        why = "has not what it should have"
    except (ValueError, RecursionError, IsADirectoryError):
        why = "is damaged"
    set_aside(path, why)
    return otherwise


# More than any figure of ours.
GREATEST_NUMBER = 1e15


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < GREATEST_NUMBER


def has_kinds(value, defaults):
    """Whether it is a dictionary whose fields, as far as it has them, are of the kind of the defaults: for None a number or
    None, for str a text or None."""
    def is_as(field, default):
        if default is None or default is str:
            return field is None or (isinstance(field, str) if default is str else is_number(field))
        return is_number(field) if is_number(default) else isinstance(field, type(default))

    return isinstance(value, dict) and all(is_as(value[name], default) for name, default in defaults.items() if name in value)


def entries(directory):
    """Names of the files of a directory, which may be missing. Those that begin with a dot are not whole yet."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        with os.scandir(directory) as found:
            return sorted(entry.name for entry in found if not entry.name.startswith(".") and entry.is_file())
    return []


def remove(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def bytes_below(*paths):
    """Bytes on the disk of files and of what is below directories; a file that has several names counts once. Files that vanish
    meanwhile count nothing."""
    found = {}
    for path in paths:
        for folder, _, names in os.walk(path) if os.path.isdir(path) else [("", [], [path])]:
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    status = os.lstat(os.path.join(folder, name))
                    found[status.st_dev, status.st_ino] = 512 * status.st_blocks
    return sum(found.values())


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


def lock(directory, who="runner"):
    """Held until the file that is returned is closed, or the process is gone."""
    try:
        os.makedirs(directory, exist_ok=True)
        held = open(os.path.join(directory, "lock"), "w", encoding="utf-8")
    except OSError as problem:
        raise Failure("%s is not to be used: %s" % (directory, problem.strerror)) from None
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held
        except BlockingIOError:
            if time.monotonic() >= end:
                held.close()
                raise Failure("another %s uses %s" % (who, directory)) from None
            time.sleep(0.05)
