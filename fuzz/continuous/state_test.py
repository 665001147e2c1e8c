#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""State that survives, the schedule, what engines say of themselves, and the limits."""

import collections
import contextlib
import errno
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "seeded")]

import engine_slice  # noqa: E402
import fake_engines  # noqa: E402
import files  # noqa: E402
import instances  # noqa: E402
import replay  # noqa: E402
import status  # noqa: E402
import upkeep  # noqa: E402
from engine_slice import Slice  # noqa: E402
from state import INSTANCE, SAMPLES_MOST, TARGET, Samples, Schedule, State  # noqa: E402

Named = collections.namedtuple("Named", "full_name")


def said_by(function):
    """What it writes to stderr, and what it returns."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        result = function()
    return said.getvalue(), result


class WithDirectory(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.directory = self.temporary.name


class Kept(WithDirectory):
    def test_is_there_at_the_next_start(self):
        state = State(self.directory)
        state.instance("a b")
        state.add_slice("a b", 60, Slice(7.0, 70, 5, None))
        state.write()
        again = State(self.directory)
        self.assertEqual(again.instances, state.instances)
        self.assertEqual(again.started, state.started)
        self.assertEqual((again.instance("a b")["cpu_seconds"], again.instance("a b")["executions_per_second"]), (7.0, 10.0))

    def test_what_ran_when_it_was_killed_counts(self):
        state = State(self.directory)
        state.instance("a b")
        live = collections.namedtuple("Live", "cpu_seconds executions")
        state.write({"a b": live(5.0, 50)})
        self.assertEqual(State(self.directory).instance("a b")["cpu_seconds"], 5.0)
        state.write({"a b": live(6.0, 60)})
        state = State(self.directory)
        state.write()
        self.assertEqual((State(self.directory).instance("a b")["cpu_seconds"], state.instance("a b")["executions"]), (6.0, 60))

    def test_what_is_damaged_or_not_ours_is_set_aside(self):
        path = os.path.join(self.directory, "state.json")
        bad = ['{"instances": {', "[1]", '"text"', "null", '{"instances": []}', '{"instances": {"a b": 7}}', "\x00\x80",
               '{"instances": {"a b": {"cpu_seconds": "many"}}}', '{"started": NaN}', '{"started": "x"}',
               '{"instances": {"a b": {"runs": true}}}', '{"live": {"a b": {"cpu_seconds": []}}}', "[" * 100000]
        for number, text in enumerate(bad, 1):
            files.write(path, text.encode("latin-1"))
            said, state = said_by(lambda: State(self.directory))
            self.assertEqual((state.instances, state.targets), ({}, {}), text)
            self.assertEqual(said.count("\n"), 1, said)
            self.assertIn("state.json.bad", said)
            # Nothing is lost, and the next start has nothing to say.
            aside = path + files.BAD + (str(number) if number > 1 else "")
            self.assertEqual(files.read(aside), text.encode("latin-1"))
            state.write()
            self.assertEqual(said_by(lambda: State(self.directory))[0], "")
        os.unlink(path)
        os.mkdir(path)
        self.assertIn("state.json.bad", said_by(lambda: State(self.directory))[0])

    def test_what_an_older_version_did_not_have_is_added(self):
        files.write_json(os.path.join(self.directory, "state.json"), {
            "instances": {"a b": {"cpu_seconds": 5}, "c d": {}}, "targets": {"a": {"edges": 7}},
            "live": {"a b": {"executions": 3}}})
        said, state = said_by(lambda: State(self.directory))
        self.assertEqual(said, "")
        self.assertEqual(state.instance("a b"), dict(INSTANCE, cpu_seconds=5, executions=3))
        self.assertEqual((state.instance("c d"), state.target("a")), (INSTANCE, dict(TARGET, edges=7)))

    def test_a_write_that_fails_leaves_nothing(self):
        def full(_):
            raise OSError(errno.ENOSPC, "No space left on device")

        path, sync = os.path.join(self.directory, "file"), os.fsync
        files.write(path, b"old")
        os.fsync = full
        try:
            with self.assertRaises(OSError):
                files.write(path, b"new")
        finally:
            os.fsync = sync
        self.assertEqual((os.listdir(self.directory), files.read(path)), (["file"], b"old"))

    def test_a_directory_that_cannot_be_one(self):
        path = os.path.join(self.directory, "file")
        files.write(path, b"")
        for place in (path, path + "/below", "/dev/null", "/proc/nowhere"):
            with self.assertRaises(files.Failure):
                files.lock(place)

    def test_bytes_of_a_file_with_two_names_count_once(self):
        for name in ("one", "two"):
            os.mkdir(os.path.join(self.directory, name))
        path = os.path.join(self.directory, "one", "file")
        files.write(path, bytes(100000))
        single = files.bytes_below(self.directory)
        self.assertGreaterEqual(single, 100000)
        os.link(path, os.path.join(self.directory, "two", "same"))
        self.assertEqual(files.bytes_below(self.directory), single)
        self.assertEqual(files.bytes_below(*[os.path.join(self.directory, name) for name in ("one", "two")]), single)
        self.assertEqual(files.bytes_below(path, os.path.join(self.directory, "nowhere")), single)

    def test_an_interrupted_write_is_no_matter(self):
        State(self.directory).write()
        files.write(os.path.join(self.directory, "torn"), b"")
        with open(os.path.join(self.directory, "state.json.new"), "w", encoding="utf-8") as torn:
            torn.write('{"instances": {')
        self.assertEqual(State(self.directory).instances, {})

    def test_a_child_of_a_killed_runner_lets_the_lock_go(self):
        # The fork has the file that is locked, too, until it becomes another program.
        held = files.lock(self.directory)
        child = subprocess.Popen(["sleep", "0.5"], pass_fds=[held.fileno()])
        held.close()
        files.lock(self.directory).close()
        self.assertEqual(child.wait(), 0)

    def test_a_file_appears_whole(self):
        path, move = os.path.join(self.directory, "file"), os.replace
        seen = []

        def look_and_move(source, destination):
            seen.append((os.path.exists(path), files.read(source)))
            move(source, destination)

        os.replace = look_and_move
        try:
            files.write(path, b"data")
        finally:
            os.replace = move
        self.assertEqual(seen, [(False, b"data")])
        self.assertEqual(os.listdir(self.directory), ["file"])

    def test_a_directory_appears_whole(self):
        path = os.path.join(self.directory, "whole")
        with self.assertRaises(KeyError):
            with files.NewDirectory(path):
                raise KeyError
        self.assertFalse(os.path.exists(path))
        with files.NewDirectory(path) as building:
            self.assertFalse(os.path.exists(path))
            files.write(os.path.join(building, "file"), b"")
        self.assertEqual(os.listdir(path), ["file"])

    def test_samples(self):
        target = collections.namedtuple("Target", "root")(self.directory)
        samples = Samples(target)
        for edges in range(3):
            samples.add(edges, 1, 2)
        with open(samples.path, "a", encoding="utf-8") as file:
            file.write('{"time": 1, "ed')
        again = Samples(target)
        again.add(9, 1, 2)
        with open(samples.path, "a", encoding="utf-8") as file:
            file.write('{"time": "x", "edges": 1}\n{"time": 1, "edges": null}\n[]\n{"time": 1e999, "edges": 1}\n')
        self.assertEqual([edges for _, edges in Samples(target).points], [0, 1, 2, 9])
        again.points = [[i, i] for i in range(10 * SAMPLES_MOST)]
        thinned = again.thinned()
        self.assertEqual((len(thinned), thinned[0], thinned[-1]), (SAMPLES_MOST, [0, 0], again.points[-1]))


class SourceCoverage(unittest.TestCase):
    def test_what_is_one(self):
        good = {"time": 7, "files": [{"path": "allocator/a.c", "lines": 9, "covered": 3}]}
        self.assertTrue(status.is_source_coverage(good))
        for bad in (None, [], {}, {"time": 7}, dict(good, time="x"), dict(good, files={}), dict(good, files=[{"path": "a"}]),
                    dict(good, files=[dict(good["files"][0], lines="x")])):
            self.assertFalse(status.is_source_coverage(bad), bad)


class Turns(WithDirectory):
    def setUp(self):
        super().setUp()
        self.state = State(self.directory)
        self.named = [Named("t " + name) for name in "abc"]
        for named in self.named:
            self.state.instance(named.full_name)

    def test_the_least_first(self):
        for named, seconds in zip(self.named, (70, 65, 99)):
            self.state.begin_slice(named.full_name, 60)
            self.state.add_slice(named.full_name, 60, Slice(seconds, 1, None, None))
        schedule = Schedule(self.state, self.named)
        self.assertEqual([schedule.next().full_name for _ in range(3)], ["t b", "t a", "t c"])
        self.assertIsNone(schedule.next())
        schedule.give_back(self.named[2])
        self.assertEqual(schedule.next(), self.named[2])

    def test_one_that_is_held_does_not_run(self):
        schedule = Schedule(self.state, self.named)
        self.assertTrue(schedule.hold(self.named[0]))
        self.assertFalse(schedule.is_free(self.named[0]))
        self.assertFalse(schedule.hold(self.named[0]))
        self.assertEqual([schedule.next().full_name, schedule.next().full_name, schedule.next()], ["t b", "t c", None])
        self.assertFalse(schedule.hold(self.named[1]))
        schedule.give_back(self.named[0])
        self.assertEqual(schedule.next(), self.named[0])

    def test_one_that_the_runner_was_killed_in_had_its_turn(self):
        self.state.begin_slice("t a", 60)
        self.state.write()
        schedule = Schedule(State(self.directory), self.named)
        self.assertEqual([schedule.next().full_name for _ in range(3)], ["t b", "t c", "t a"])

    def test_one_that_fails_at_once_does_not_have_every_turn(self):
        self.state.begin_slice("t a", 60)
        self.state.add_slice("t a", 60, Slice(0.1, 0, None, "no engine"))
        schedule = Schedule(self.state, self.named)
        self.assertEqual([schedule.next().full_name for _ in range(3)], ["t b", "t c", "t a"])

    def test_one_that_comes_later_does_not_catch_up(self):
        for named, seconds in zip(self.named, (500, 450, 400)):
            self.state.begin_slice(named.full_name, 60)
            self.state.add_slice(named.full_name, 60, Slice(seconds, 1, None, None))
        self.assertEqual(self.state.instance("u a")["charged_seconds"], self.state.instance("t c")["charged_seconds"])
        self.assertEqual(self.state.instance("u a")["cpu_seconds"], 0)


class Engines(WithDirectory):
    def setUp(self):
        super().setUp()
        programs = fake_engines.make_programs(os.path.join(self.directory, "programs"), ("one", "two"))
        plain = os.path.join(programs, "two_fake_libfuzzer_bin")
        files.write(plain, files.read(plain).replace(b"FUZZ_MUTATOR", b""))
        self.targets = instances.find_targets(programs, os.path.join(self.directory, "state"), "fake")
        self.programs = programs

    def test_what_is_no_program_has_no_mutator_of_programs(self):
        names = [[instance.name for instance in target.instances] for target in self.targets]
        self.assertEqual(names, [list(instances.INSTANCES), ["libfuzzer_bytes", "libfuzzer_asan", "afl_bytes"]])
        self.assertEqual({instance.mutator for instance in self.targets[1].instances}, {"bytes"})

    def test_targets_are_chosen_by_name(self):
        self.assertEqual([t.name for t in instances.find_targets(self.programs, "x", "fake", "two")], ["two"])
        for wanted in ("three", "two,", ",", ""):
            with self.assertRaises(instances.Failure):
                instances.find_targets(self.programs, "x", "fake", wanted)
        with self.assertRaises(instances.Failure):
            instances.find_targets(self.directory, "x", "fake")

    def test_environment(self):
        os.environ["ASAN_OPTIONS"] = "verbosity=0"
        self.addCleanup(os.environ.pop, "ASAN_OPTIONS")
        environments = {i.name: i.environment("/state") for i in self.targets[0].instances}
        self.assertEqual({name for name, e in environments.items() if e.get("FUZZ_MUTATOR") == "bytes"}, {"libfuzzer_bytes"})
        self.assertEqual({name for name, e in environments.items() if "AFL_CUSTOM_MUTATOR_LIBRARY" in e}, {"afl_structured"})
        # AFL++ does not begin where a sanitizer has options that are not its own.
        self.assertEqual({name for name, e in environments.items() if "ASAN_OPTIONS" not in e}, {"afl_structured", "afl_bytes"})
        self.assertIn("verbosity=0", environments["libfuzzer_asan"]["ASAN_OPTIONS"])
        self.assertEqual({e[instances.MARK] for e in environments.values()}, {"/state"})

    def test_numbers_of_libfuzzer(self):
        text = "#2\tINITED cov: 7 ft: 8\n#300\tNEW    cov: 12 ft: 20 corp: 3/9b\n#512\tpulse  cov: 12 ft: 20\n"
        live = engine_slice.Live(self.targets[0].instances[0])
        live.read(text)
        self.assertEqual((live.executions, live.edges), (512, 12))
        live.read(text + "stat::number_of_executed_units: 600\n")
        self.assertEqual((live.executions, live.edges), (600, 12))

    def test_reading_the_corpus_is_no_part_of_the_slice(self):
        for name in ("libfuzzer_bytes", "afl_bytes"):
            instance = next(one for one in self.targets[0].instances if one.name == name)
            os.makedirs(instance.afl_directory, exist_ok=True)
            os.makedirs(instance.root, exist_ok=True)
            stats = os.path.join(instance.afl_directory, "fuzzer_stats")
            files.write(stats, "execs_done : 5\n")
            live = engine_slice.Live(instance)
            live.look(50.0)
            self.assertFalse(live.has_had(20))
            live.look(engine_slice.BEGIN_FACTOR * 20)
            self.assertTrue(live.has_had(20))
            files.write(instance.log, "#256\tpulse  cov: 7\n#300\tINITED cov: 7 ft: 8\n")
            files.write(stats, "execs_done : 9\n")
            os.utime(stats, (1, 1))
            live.looked = 0.0
            live.look(101.0)
            live.look(120.0)
            self.assertFalse(live.has_had(20))
            live.look(121.0)
            self.assertTrue(live.has_had(20))

    def test_numbers_of_afl_go_on(self):
        instance = self.targets[0].instances[-1]
        os.makedirs(instance.afl_directory)
        stats = os.path.join(instance.afl_directory, "fuzzer_stats")
        files.write(stats, "execs_done        : 1000\nedges_found       : 50\n")
        live = engine_slice.Live(instance)
        files.write(stats, "execs_done        : 1700\nedges_found       : 51\nexecs_per_sec     : 7.5\n")
        live.read()
        self.assertEqual((live.executions, live.edges), (700, 51))
        # Its directory was thrown away, and it began anew.
        files.write(stats, "execs_done        : 30\n")
        live.read()
        self.assertEqual(live.executions, 30)

    def test_the_disk_has_a_limit(self):
        [one, two] = self.targets
        for number, target in enumerate(self.targets):
            target.make_directories()
            directory = target.instances[-1].afl_directory
            os.makedirs(directory)
            for path in (directory + "/queue", target.corpus + "/file", target.crashes + "/file"):
                files.write(path, bytes(100000))
            os.utime(directory, (number, number))
        state = os.path.join(self.directory, "state")
        schedule = Schedule(State(state), [one.instances[-1], two.instances[-1]])

        def make_room(limit, targets=self.targets):
            return upkeep.make_room(state, targets, limit, [[upkeep.Removable(
                target.instances[-1].afl_directory, lambda target=target: schedule.hold(target.instances[-1]),
                lambda target=target: schedule.give_back(target.instances[-1])) for target in targets]])

        # Where one target runs the other one's files do not count, as they may not go.
        self.assertLess(make_room(350000, [two]), 350000)
        self.assertTrue(os.path.exists(two.instances[-1].afl_directory))
        # Other names of the corpus, in a merge or in a queue of AFL++'s, take no room.
        files.write(one.root + "/work/alone", b"")
        os.makedirs(one.root + "/work/merge/input")
        os.link(one.corpus + "/file", one.root + "/work/merge/input/file")
        used = make_room(550000)
        self.assertLess(used, 550000)
        # The oldest went, and no more than that.
        self.assertFalse(os.path.exists(one.instances[-1].afl_directory))
        self.assertTrue(os.path.exists(two.instances[-1].afl_directory))
        self.assertEqual(upkeep.kept_below([two]), files.bytes_below(two.corpus, two.crashes))
        self.assertTrue(schedule.hold(two.instances[-1]))
        make_room(1)
        self.assertTrue(os.path.exists(two.instances[-1].afl_directory))
        schedule.give_back(two.instances[-1])
        make_room(1)
        self.assertFalse(os.path.exists(two.instances[-1].afl_directory))
        # What has gone already is no mistake, and all are free again.
        make_room(1)
        self.assertTrue(schedule.is_free(one.instances[-1]) and schedule.is_free(two.instances[-1]))
        self.assertEqual([files.entries(d) for t in self.targets for d in (t.corpus, t.crashes)], [["file"]] * 4)


class Processes(WithDirectory):
    def test_memory_has_a_limit(self):
        with subprocess.Popen([sys.executable, "-c", "x = bytearray(b'x' * (64 << 20)); print(1, flush=True); input()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            watch = replay.MemoryWatch(1024)
            watch.observe(process.pid, 0)
            self.assertFalse(watch.exceeded)
            self.assertIsNone(process.poll())
            watch = replay.MemoryWatch(32)
            watch.observe(process.pid, 0)
            self.assertTrue(watch.exceeded)
            self.assertEqual(process.wait(), -signal.SIGKILL)

    def test_only_marked_processes_are_ended(self):
        def start(state):
            return subprocess.Popen(["sleep", "100"], env=dict(os.environ, **{instances.MARK: state}), start_new_session=True)

        with start("/one") as one, start("/other") as other:
            try:
                end = time.monotonic() + 60
                while not upkeep.marked_processes("/one") and time.monotonic() < end:
                    time.sleep(0.01)
                self.assertEqual(upkeep.end_orphans("/one", 0), 1)
                self.assertEqual(one.wait(), -signal.SIGKILL)
                self.assertIsNone(other.poll())
            finally:
                other.kill()


if __name__ == "__main__":
    unittest.main()
