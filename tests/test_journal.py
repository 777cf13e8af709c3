"""Journals: no record is lost, whatever other processes, a kill or the disk do."""

from __future__ import annotations

import errno
import importlib.util
import os
import stat
import subprocess
import sys
import tempfile
import threading
import types
import unittest
from pathlib import Path
from typing import BinaryIO
from unittest import mock

from runway_cli.files import lock as file_lock
from runway_cli.jobs import journal as shared_journal
from runway_cli.jobs.journal import ExclusiveJournal, JournalLocked, SharedJournal, open_to_read
from tests.recorded_disk import RecordedDisk

ROOT = Path(__file__).resolve().parent.parent
IS_WINDOWS = os.name == "nt"
NO_LIMIT = 1 << 30

# appends COUNT records as soon as its stdin is closed
WRITER = """
import sys
root, path, name, count, max_size, uses_lock = sys.argv[1:]
sys.path.insert(0, root)
from runway_cli.jobs.journal import IS_WINDOWS
from runway_cli.jobs.journal import SharedJournal
journal = SharedJournal(path, max_size=int(max_size), uses_lock=IS_WINDOWS or uses_lock == "lock")
print("ready", flush=True)
sys.stdin.read()
for number in range(int(count)):
    journal.append({"writer": int(name), "number": number, "fill": "x" * 60})
"""


class JournalCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(folder.name, "log.jsonl")

    def content(self) -> bytes:
        return Path(self.path).read_bytes()

    def journal(self, max_size: int = NO_LIMIT, disk: RecordedDisk | None = None) -> SharedJournal:
        return SharedJournal(self.path, max_size=max_size, system=disk or RecordedDisk())

    def start_writers(self, writers: int, count: int, max_size: int = NO_LIMIT, lock: str = "") -> list[Writer]:
        """Processes that are ready to append."""
        started = []
        for name in range(writers):
            words = [str(ROOT), self.path, str(name), str(count), str(max_size), lock]
            command = [sys.executable, "-S", "-c", WRITER, *words]
            started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        for writer in started:
            assert writer.stdout
            writer.stdout.readline()
        return started

    def run_writers(self, started: list[Writer]) -> None:
        """Lets them append at the same time, until all are done."""
        for writer in started:
            assert writer.stdin
            writer.stdin.close()
        for writer in started:
            assert writer.stdout
            self.assertEqual(writer.wait(), 0)
            writer.stdout.close()

    def numbers(self) -> dict[int, list[int]]:
        """What a reader finds: the numbers of each writer's records, in order."""
        found: dict[int, list[int]] = {}
        for record in SharedJournal(self.path, max_size=NO_LIMIT).records():
            found.setdefault(record["writer"], []).append(record["number"])
        return found


Writer = subprocess.Popen[bytes]


class NoFile(JournalCase):
    @unittest.skipIf(IS_WINDOWS, "there are no FIFOs")
    def test_a_pipe_keeps_nothing_and_says_so(self) -> None:
        os.mkfifo(self.path)
        with self.assertRaisesRegex(OSError, "it is a pipe"):
            self.journal().append({"a": 1})


class ManyProcesses(JournalCase):
    def test_48_processes_append_at_once_and_lose_nothing(self) -> None:
        self.run_writers(self.start_writers(48, 10))
        self.assertEqual(self.numbers(), {writer: list(range(10)) for writer in range(48)})

    def test_processes_lose_nothing_under_a_lock(self) -> None:
        self.run_writers(self.start_writers(12, 10, lock="lock"))
        self.assertEqual(self.numbers(), {writer: list(range(10)) for writer in range(12)})

    def test_forty_writers_lose_nothing_when_the_file_is_renamed(self) -> None:
        self.run_writers(self.start_writers(40, 30, max_size=80_000))  # 110 kB in all
        self.assertEqual(self.numbers(), {writer: list(range(30)) for writer in range(40)})
        self.assertGreater(os.path.getsize(self.path + ".1"), 79_000)
        self.assertGreater(os.path.getsize(self.path), 0)

    def test_writers_under_a_lock_lose_nothing_when_the_file_is_renamed(self) -> None:
        self.run_writers(self.start_writers(8, 30, max_size=13_000, lock="lock"))
        self.assertEqual(self.numbers(), {writer: list(range(30)) for writer in range(8)})
        self.assertTrue(os.path.exists(self.path + ".1"))

    def test_forty_writers_keep_the_newest_records_over_many_renames(self) -> None:
        self.run_writers(self.start_writers(40, 30, max_size=12_000))
        found = self.numbers()
        for numbers in found.values():
            self.assertEqual(numbers, list(range(numbers[0], 30)))
        self.assertGreater(os.path.getsize(self.path + ".1"), 11_000)  # no file was renamed before it was full
        self.assertGreater(sum(map(len, found.values())), 110)

    def test_a_reader_never_misses_what_is_renamed_meanwhile(self) -> None:
        counts = [0]
        started = self.start_writers(8, 100, max_size=40_000)
        running = threading.Thread(target=self.run_writers, args=[started])
        running.start()
        while running.is_alive():
            counts.append(sum(map(len, self.numbers().values())))
        running.join()
        counts.append(sum(map(len, self.numbers().values())))
        self.assertEqual(counts, sorted(counts))
        self.assertEqual(counts[-1], 800)


class Appending(JournalCase):
    def test_a_record_is_one_write_and_then_flushed(self) -> None:
        disk = RecordedDisk()
        journal = self.journal(disk=disk)
        journal.append({"a": 1})
        disk.calls.clear()
        journal.append({"a": 2})
        self.assertEqual(disk.calls, [("write", b'{"a":2}\n'), ("fsync", "log.jsonl")])

    @unittest.skipIf(IS_WINDOWS, "Windows has no fsync of a folder")
    def test_the_name_of_a_new_file_is_flushed_too(self) -> None:
        disk = RecordedDisk()
        self.journal(disk=disk).append({"a": 1})
        expected = [("write", b'{"a":1}\n'), ("fsync", "log.jsonl"), ("fsync", os.path.basename(self.folder))]
        self.assertEqual(disk.calls, expected)

    def test_a_full_file_is_renamed_before_the_write(self) -> None:
        disk = RecordedDisk()
        journal = self.journal(max_size=10, disk=disk)
        journal.append({"a": 1})
        disk.calls.clear()
        journal.append({"a": 2})
        self.assertEqual(disk.calls[:2], [("replace", "log.jsonl.1"), ("write", b'{"a":2}\n')])
        self.assertEqual(list(journal.records()), [{"a": 1}, {"a": 2}])

    def test_a_file_that_cannot_be_renamed_goes_on_growing(self) -> None:
        disk = RecordedDisk()
        disk.fail("replace", errno.EACCES)
        journal = self.journal(max_size=10, disk=disk)
        journal.append({"a": 1})
        journal.append({"a": 2})
        self.assertEqual(self.content(), b'{"a":1}\n{"a":2}\n')

    def test_a_record_comes_again_if_its_file_was_dropped_meanwhile(self) -> None:
        class DroppingDisk(RecordedDisk):
            def write(disk, descriptor: int, data: bytes, /) -> int:
                written = super().write(descriptor, data)
                if len(disk.calls) == 1:
                    os.unlink(self.path)
                return written

        if IS_WINDOWS:
            self.skipTest("Windows deletes no open file")
        journal = self.journal(disk=DroppingDisk())
        journal.append({"a": 1})
        self.assertEqual(list(journal.records()), [{"a": 1}])

    def test_a_file_that_another_process_has_renamed_is_not_renamed_again(self) -> None:
        class SlowDisk(RecordedDisk):
            def close(disk, descriptor: int, /) -> None:
                super().close(descriptor)
                if not os.path.exists(self.path + ".1"):
                    os.replace(self.path, self.path + ".1")
                    Path(self.path).write_bytes(b"{}\n")

        Path(self.path).write_bytes(b'{"a":1}\n')
        journal = self.journal(max_size=12, disk=SlowDisk())
        journal.append({"a": 2})
        self.assertEqual(list(journal.records()), [{"a": 1}, {}, {"a": 2}])

    def test_a_half_of_a_surrogate_pair_is_kept(self) -> None:
        journal = self.journal()
        journal.append({"a": "\udc80 ä"})
        self.assertEqual(list(journal.records()), [{"a": "\udc80 ä"}])

    @unittest.skipIf(IS_WINDOWS, "Windows has no such modes")
    def test_file_and_folders_are_for_their_user_alone(self) -> None:
        self.path = os.path.join(self.folder, "state", "runway-cli", "history.jsonl")
        before = os.umask(0)
        try:
            self.journal(max_size=10).append({"a": 1})
            self.journal(max_size=10).append({"a": 2})
        finally:
            os.umask(before)
        modes = {name: stat.S_IMODE(os.stat(self.path + name).st_mode) for name in ("", ".1", ".lock")}
        self.assertEqual(modes, {"": 0o600, ".1": 0o600, ".lock": 0o600})
        for folder in (os.path.dirname(self.path), os.path.join(self.folder, "state")):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)

    @unittest.skipIf(IS_WINDOWS, "os.devnull has no size there")
    def test_the_null_device_takes_records(self) -> None:
        self.path = os.devnull
        self.journal().append({"a": 1})
        self.assertEqual(list(self.journal().records()), [])

    def test_records_under_a_lock_make_their_folder_too(self) -> None:
        self.path = os.path.join(self.folder, "new", "log.jsonl")
        SharedJournal(self.path, max_size=NO_LIMIT, uses_lock=True).append({"a": 1})
        self.assertEqual(list(self.journal().records()), [{"a": 1}])


class DiskFailures(JournalCase):
    def test_a_full_disk_is_an_error_on_write_and_on_fsync(self) -> None:
        for call in ("write", "fsync"):
            with self.subTest(call):
                disk = RecordedDisk()
                disk.fail(call)
                with self.assertRaises(OSError) as caught:
                    self.journal(disk=disk).append({"a": 1})
                self.assertEqual(caught.exception.errno, errno.ENOSPC)

    def test_a_line_that_was_written_in_part_is_written_again_as_a_whole(self) -> None:
        disk = RecordedDisk()
        disk.max_write = [3]
        journal = self.journal(disk=disk)
        journal.append({"a": 1})
        self.assertEqual(self.content(), b'{"a\n{"a":1}\n')
        self.assertEqual(list(journal.records()), [{"a": 1}])

    def test_a_system_that_writes_parts_only_is_an_error(self) -> None:
        disk = RecordedDisk()
        disk.max_write = [3] * 10
        with self.assertRaises(OSError):
            self.journal(disk=disk).append({"a": 1})

    def test_descriptors_are_closed_after_a_failure(self) -> None:
        disk = RecordedDisk()
        disk.fail("fsync")
        with mock.patch.object(disk, "close", side_effect=os.close) as close:
            for _ in range(3):
                with self.assertRaises(OSError):
                    self.journal(disk=disk).append({"a": 1})
        self.assertEqual(close.call_count, 3)


class Reading(JournalCase):
    def test_the_next_record_after_a_torn_line_is_on_a_line_of_its_own(self) -> None:
        Path(self.path).write_bytes(b'{"a":1}\n{"a":')
        self.journal().append({"a": 2})
        self.assertEqual(self.content(), b'{"a":1}\n{"a":\n{"a":2}\n')

    def test_what_is_not_a_json_object_is_skipped(self) -> None:
        lines = [b'{"a":1}', b"", b'{"a":', b"[1]", b"null", b"\xff\xfe", b"{'a': 1}", b"\0\0\0", b'{"a":2}', b'{"a']
        Path(self.path).write_bytes(b"\n".join(lines))
        self.assertEqual(list(self.journal().records()), [{"a": 1}, {"a": 2}])

    def test_a_missing_file_has_no_records(self) -> None:
        self.assertEqual(list(self.journal().records()), [])

    def test_a_file_that_cannot_be_read_is_an_error(self) -> None:
        os.mkdir(self.path)
        with self.assertRaises(OSError):
            list(self.journal().records())

    def test_the_old_file_comes_first(self) -> None:
        Path(self.path + ".1").write_bytes(b'{"a":1}\n')
        Path(self.path).write_bytes(b'{"a":2}\n')
        self.assertEqual(list(self.journal().records()), [{"a": 1}, {"a": 2}])

    def test_the_old_file_alone_is_read(self) -> None:
        Path(self.path + ".1").write_bytes(b'{"a":1}\n')
        self.assertEqual(list(self.journal().records()), [{"a": 1}])

    def test_a_file_that_is_renamed_while_it_is_opened_is_read_once(self) -> None:
        Path(self.path + ".1").write_bytes(b'{"a":1}\n')
        Path(self.path).write_bytes(b'{"a":2}\n')
        opened: list[str] = []

        def open_and_rename(path: str) -> BinaryIO | None:
            file = open_to_read(path)
            opened.append(path)
            if len(opened) == 1:
                os.replace(self.path, self.path + ".1")
                Path(self.path).write_bytes(b'{"a":3}\n')
            return file

        if IS_WINDOWS:
            self.skipTest("Windows renames no open file")
        with mock.patch.object(shared_journal, "open_to_read", open_and_rename):
            self.assertEqual(list(self.journal().records()), [{"a": 2}, {"a": 3}])

    def test_a_file_that_windows_refuses_while_it_is_renamed_is_read_a_moment_later(self) -> None:
        Path(self.path).write_bytes(b'{"a":1}\n')
        attempts = [PermissionError(errno.EACCES, "renamed"), PermissionError(errno.EACCES, "renamed")]

        def refuse_twice(path: str) -> BinaryIO | None:
            if attempts:
                raise attempts.pop()
            return open_to_read(path)

        with mock.patch.object(shared_journal, "open_to_read", refuse_twice):
            journal = SharedJournal(self.path, max_size=NO_LIMIT, uses_lock=True)
            self.assertEqual(list(journal.records()), [{"a": 1}])

    def test_a_file_that_windows_keeps_refusing_is_an_error(self) -> None:
        refused = mock.Mock(side_effect=PermissionError)
        with (
            mock.patch.object(shared_journal, "open_to_read", refused),
            mock.patch.object(file_lock, "MAX_RENAME", 0.03),
            self.assertRaises(PermissionError),
        ):
            list(SharedJournal(self.path, max_size=NO_LIMIT, uses_lock=True).records())
        self.assertGreater(refused.call_count, 1)


class ForOneProcess(JournalCase):
    def test_what_was_appended_is_read_while_it_is_open(self) -> None:
        with ExclusiveJournal(self.path) as journal:
            journal.append({"a": 1})
            self.assertEqual(list(journal.records()), [{"a": 1}])
            journal.append({"a": 2})
            self.assertEqual(list(journal.records()), [{"a": 1}, {"a": 2}])

    def test_each_record_is_flushed(self) -> None:
        disk = RecordedDisk()
        with ExclusiveJournal(self.path, system=disk) as journal:
            journal.append({"a": 1})
            disk.calls.clear()
            journal.append({"a": 2})
        self.assertEqual(disk.calls, [("write", b'{"a":2}\n'), ("fsync", "log.jsonl")])

    def test_a_torn_line_is_left_behind(self) -> None:
        Path(self.path).write_bytes(b'{"a":1}\n{"a":')
        with ExclusiveJournal(self.path) as journal:
            journal.append({"a": 2})
            self.assertEqual(list(journal.records()), [{"a": 1}, {"a": 2}])

    def test_a_second_one_is_refused_until_the_first_is_closed(self) -> None:
        with ExclusiveJournal(self.path), self.assertRaisesRegex(JournalLocked, "in use by another process"):
            ExclusiveJournal(self.path)
        ExclusiveJournal(self.path).close()

    def test_the_lock_dies_with_its_process(self) -> None:
        script = (
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "from runway_cli.jobs.journal import ExclusiveJournal\n"
            "journal = ExclusiveJournal(sys.argv[2])\n"
            "print('open', flush=True); sys.stdin.read()\n"
        )
        command = [sys.executable, "-S", "-c", script, str(ROOT), self.path]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout
            holder.stdout.readline()
            with self.assertRaises(JournalLocked):
                ExclusiveJournal(self.path)
            holder.kill()
            holder.wait()
        ExclusiveJournal(self.path).close()

    def test_threads_append_at_the_same_time(self) -> None:
        with ExclusiveJournal(self.path) as journal:

            def append(writer: int) -> None:
                for number in range(20):
                    journal.append({"writer": writer, "number": number})

            threads = [threading.Thread(target=append, args=[writer]) for writer in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(self.numbers(), {writer: list(range(20)) for writer in range(8)})

    @unittest.skipIf(IS_WINDOWS, "Windows has no such modes")
    def test_the_file_is_for_its_user_alone(self) -> None:
        ExclusiveJournal(self.path).close()
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_a_full_disk_is_an_error(self) -> None:
        disk = RecordedDisk()
        disk.fail("write")
        with ExclusiveJournal(self.path, system=disk) as journal, self.assertRaises(OSError):
            journal.append({"a": 1})


class Locks(JournalCase):
    def test_a_lock_file_that_is_locked_is_not_waited_for_without_a_timeout(self) -> None:
        first, second = file_lock.LockFile(self.path), file_lock.LockFile(self.path)
        self.assertTrue(first.acquire())
        self.assertFalse(second.acquire())
        first.release()
        self.assertTrue(second.acquire())
        second.release()

    def test_waiting_for_a_lock_ends(self) -> None:
        first, second = file_lock.LockFile(self.path), file_lock.LockFile(self.path)
        self.assertTrue(first.acquire())
        self.addCleanup(first.release)
        self.assertFalse(second.acquire(timeout=0.03))

    def test_windows_locks_a_byte_that_nobody_reads(self) -> None:
        calls: list[tuple[int, str]] = []
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT)
        self.addCleanup(os.close, descriptor)
        locks = load_file_lock_of_windows(
            lambda number, kind, _: calls.append((os.lseek(number, 0, os.SEEK_CUR), kind))
        )
        self.assertTrue(locks.try_lock(descriptor))
        locks.unlock(descriptor)
        self.assertEqual(calls, [(0x7FFF0000, "try"), (0x7FFF0000, "unlock")])

    def test_a_range_that_is_locked_on_windows_is_not_an_error(self) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT)
        self.addCleanup(os.close, descriptor)
        for number in (errno.EACCES, 0):
            locks = load_file_lock_of_windows(mock.Mock(side_effect=OSError(number, "locked")))
            self.assertFalse(locks.try_lock(descriptor))

    def test_a_file_that_cannot_be_locked_on_windows_is_an_error(self) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT)
        self.addCleanup(os.close, descriptor)
        locks = load_file_lock_of_windows(mock.Mock(side_effect=OSError(errno.EINVAL, "no locks")))
        with self.assertRaises(OSError):
            locks.try_lock(descriptor)


def load_file_lock_of_windows(locking: object) -> types.ModuleType:
    """The module as Windows imports it, with this function as msvcrt.locking."""
    spec = importlib.util.spec_from_file_location("file_lock_of_windows", file_lock.__file__)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    msvcrt = types.SimpleNamespace(locking=locking, LK_NBLCK="try", LK_UNLCK="unlock")
    with mock.patch.dict(sys.modules, {"msvcrt": msvcrt}), mock.patch.object(sys, "platform", "win32"):
        spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    unittest.main()
