"""Streams that are closed, full, slow or not UTF-8, and the console of Windows."""

from __future__ import annotations

import ctypes
import errno
import io
import os
import subprocess
import sys
import unittest
from typing import Any
from unittest import mock

from runway_cli.errors import ClosedOutput, OutputError
from runway_cli.terminal import console as streams
from runway_cli.terminal.console import Console, parse
from tests.streams import captured


class BrokenStream(io.RawIOBase):
    """A stream that cannot be written."""

    def __init__(self, error: OSError | ValueError) -> None:
        self.error = error

    def writable(self) -> bool:
        return True

    def write(self, _: Any) -> int:
        raise self.error


class SlowStream(io.RawIOBase):
    """A stream that takes three bytes at a time."""

    def __init__(self) -> None:
        self.taken = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.taken += bytes(data[:3])
        return len(data[:3])


class BrokenStreams(unittest.TestCase):
    def stdout(self, raw: io.RawIOBase) -> Any:
        return mock.patch.object(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(raw), encoding="ascii"))

    def test_a_reader_that_has_gone_ends_it_quietly(self) -> None:
        with self.stdout(BrokenStream(BrokenPipeError())), self.assertRaises(ClosedOutput):
            Console().result({})

    def test_windows_reports_a_reader_that_has_gone_as_an_invalid_argument(self) -> None:
        invalid = OSError(errno.EINVAL, "Invalid argument")
        for system, ending in (("nt", ClosedOutput), ("posix", OutputError)):
            with self.subTest(system), self.stdout(BrokenStream(invalid)), mock.patch.object(os, "name", system):
                self.assertRaises(ending, Console().write, "x")

    def test_a_closed_stdout_ends_it_quietly(self) -> None:
        closed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        closed.close()
        for stream in (None, closed):
            with self.subTest(stream), mock.patch.object(sys, "stdout", stream), self.assertRaises(ClosedOutput):
                Console().result({})

    def test_a_full_disk_is_reported_with_the_id_of_what_was_paid_for(self) -> None:
        def result(console: Console) -> None:
            console.result({"id": "t1"})

        def row(console: Console) -> None:
            console.row({"id": "t1"}, alone=False)

        def selected(console: Console) -> None:
            console.configure(format=None, select=parse("id"), quiet=True, verbose=False)
            console.row({"id": "t1"}, alone=False)

        for act in (result, row, selected):
            full = self.stdout(BrokenStream(OSError(errno.ENOSPC, "No space left on device")))
            with self.subTest(act.__name__), full, self.assertRaises(OutputError) as caught:
                act(Console())
            self.assertEqual(caught.exception.fact("task_id"), "t1")
            self.assertEqual(caught.exception.message, "stdout could not be written: No space left on device")

    def test_what_a_stream_does_not_take_at_once_is_written_in_parts(self) -> None:
        slow = SlowStream()
        with self.stdout(slow):
            Console().write("0123456789é")
        self.assertEqual(slow.taken.decode(), "0123456789é")

    def test_a_stderr_that_cannot_be_written_does_not_matter(self) -> None:
        broken = io.TextIOWrapper(io.BufferedWriter(BrokenStream(OSError(errno.ENOSPC, "full"))), encoding="utf-8")
        for stream in (None, broken):
            with self.subTest(stream), mock.patch.object(sys, "stderr", stream), captured_stdout() as out:
                Console().note("x")
                Console().error({"error": "x", "example": "x"})
                Console().result({})
                self.assertEqual(out.getvalue(), "{}\n")

    def test_a_stream_of_text_alone_is_written_too(self) -> None:
        with captured_stdout() as out:
            Console().result({"a": "é"})
        self.assertEqual(out.getvalue(), '{"a":"é"}\n')

    def test_half_of_a_surrogate_pair_is_written_as_an_escape(self) -> None:
        with captured() as kept:
            Console().result(["\ud800"])
        self.assertEqual(kept.out.text, '["\\ud800"]\n')

    def test_it_is_utf8_in_an_ascii_locale(self) -> None:
        code = (
            "from runway_cli.terminal.console import Console; c = Console(format='markdown'); c.note('狐');"
            "from runway_cli.terminal.tables import Column; c.rows([{'a': '狐'}], [Column('é', 'a')], {})"
        )
        environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": "."}
        done = subprocess.run(
            [sys.executable, "-c", ascii(code)[1:-1]], env=environment, capture_output=True, timeout=30, check=False
        )
        self.assertEqual(done.stdout.decode("utf-8"), "| é |\n| --- |\n| 狐 |\n")
        self.assertEqual(done.stderr.decode("utf-8"), "狐\n")


def captured_stdout() -> Any:
    return mock.patch.object(sys, "stdout", io.StringIO())


class FakeKernel:
    """The functions of the Windows console that are called."""

    def __init__(self, *, is_console: bool = True, is_new: bool = True) -> None:
        self.is_console = is_console
        self.is_new = is_new
        self.mode = 3
        self.GetStdHandle = mock.Mock(return_value=7)

    def GetConsoleMode(self, _: Any, mode: Any) -> int:
        mode._obj.value = self.mode
        return int(self.is_console)

    def SetConsoleMode(self, _: Any, mode: int) -> int:
        self.mode = mode
        return int(self.is_new)


class WindowsConsole(unittest.TestCase):
    def test_escape_sequences_are_switched_on(self) -> None:
        kernel = FakeKernel()
        self.assertTrue(streams.enable_virtual_terminal(kernel, ctypes))
        self.assertEqual(kernel.mode, 3 | 4)

    def test_an_older_console_or_none_has_no_escape_sequences(self) -> None:
        self.assertFalse(streams.enable_virtual_terminal(FakeKernel(is_new=False), ctypes))
        self.assertFalse(streams.enable_virtual_terminal(FakeKernel(is_console=False), ctypes))
        self.assertFalse(streams.enable_virtual_terminal(object(), ctypes))


if __name__ == "__main__":
    unittest.main()
