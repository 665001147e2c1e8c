#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one input on one program, and makes a failing input smaller."""

import os
import signal
import tempfile

import counted_run
import failures
import files
import trial

REPLAYS = 3
# On the clock, beyond the time that an input has.
WALL_MORE = 20
HEADER_BYTES, OPERATION_BYTES = 8, 4


class Replayer:
    """Runs inputs of a target as one of its instances would."""

    def __init__(self, instance, state, memory_mib, question):
        self.instance, self.state, self.memory_mib, self.question = instance, state, memory_mib, question

    def run(self, path):
        """A failures.Failure, or None where the runner is to end before the answer."""
        failure, unsure = self._once(path, False)
        # A symbolizer takes a second: only where nothing else says what it was.
        if failure is not None and unsure:
            failure, _ = self._once(path, True)
        return failure

    def _once(self, path, symbolize):
        instance = self.instance
        options = instance.libfuzzer_options(self.memory_mib) if instance.engine == "libfuzzer" else []
        watch = MemoryWatch(self.memory_mib)
        wall = trial.INPUT_TIMEOUT + (WALL_MORE if options else 0)
        with tempfile.TemporaryDirectory(dir=instance.target.work) as directory:
            run = counted_run.run([instance.program] + options + ["-artifact_prefix=%s/" % directory] * bool(options) + [path],
                                  instance.environment(self.state, symbolize), directory, wall,
                                  end_signal=signal.SIGKILL, question=self.question, observe=watch.observe)
        if run.ended in ("asked", "stopped"):
            return None, False
        kind = kind_of(run, watch.exceeded)
        failure = failures.describe(kind, run.output, run.status)
        return failure, kind in ("crash", "leak") and not symbolize and "fuzz: oracle " not in run.output

    def run_bytes(self, data):
        with tempfile.NamedTemporaryFile(dir=self.instance.target.work) as file:
            file.write(data)
            file.flush()
            return self.run(file.name)


def kind_of(run, too_much_memory):
    if too_much_memory or run.status == 71:
        return "memory"
    if run.ended == "wall" or run.status == 70:
        return "timeout"
    if run.status == 0:
        return None
    return "leak" if "LeakSanitizer" in run.output else "crash"


class MemoryWatch:
    """Kills a process below an engine that has more memory than it may: AFL++ could limit only addresses, of which the targets
    reserve many. libFuzzer looks at its own."""

    def __init__(self, memory_mib):
        self.limit, self.exceeded = memory_mib << 20, False

    def observe(self, pid, _cpu_seconds):
        for one in counted_run.tree_of(pid, counted_run.read_processes()):
            if self.resident(one) > self.limit:
                self.exceeded = True
                try:
                    os.kill(one, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    @staticmethod
    def resident(pid):
        try:
            with open("/proc/%d/statm" % pid, encoding="utf-8") as statm:
                return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return 0


def minimise_by_libfuzzer(replayer, path, seconds):
    """What libFuzzer makes of a failing input, or None. It looks only at whether an input fails, not at how."""
    work = replayer.instance.target.work
    with tempfile.TemporaryDirectory(dir=work) as directory:
        output = os.path.join(directory, "smaller")
        command = [replayer.instance.program] + replayer.instance.libfuzzer_options(replayer.memory_mib) + [
            "-minimize_crash=1", "-max_total_time=%d" % seconds, "-artifact_prefix=%s/" % directory,
            "-exact_artifact_path=" + output, path]
        counted_run.run(command, replayer.instance.environment(replayer.state), directory, 2 * seconds + WALL_MORE,
                        question=replayer.question)
        return files.read(output) if os.path.exists(output) else None


def reduce(data, is_wanted, is_over, step=OPERATION_BYTES, fixed=HEADER_BYTES):
    """Leaves out operations, many at a time and then fewer, while is_wanted(what is left) and not is_over().

    libFuzzer's minimisation removes bytes, after which the rest of a program means something else.
    """
    length = max(step, (len(data) - fixed) // 2 // step * step)
    while len(data) > fixed and length >= step:
        position, removed = fixed, False
        while position < len(data):
            if is_over():
                return data
            shorter = data[:position] + data[position + length:]
            if shorter and is_wanted(shorter):
                data, removed = shorter, True
            else:
                position += length
        if length == step and not removed:
            break
        length = max(step, length // 2 // step * step)
    return data
