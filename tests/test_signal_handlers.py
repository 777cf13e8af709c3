"""The signal handlers: the first signal is noted, a second one ends the process, and all is put back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from runway_cli.cli.signals import SIGBREAK, SignalHandlers
from runway_cli.shutdown import Shutdown

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if getattr(signal, name, None)]
PROGRAM = """
import os, signal, sys, time
from runway_cli.cli.signals import SignalHandlers
from runway_cli.shutdown import Shutdown

shutdown = Shutdown()

def report(number):
    shutdown.end()
    os.write(1, b"report %d\\n" % number)  # print may be what the signal has interrupted, and cannot be entered twice
    if "hang" in sys.argv:
        time.sleep(60)
    if "fail" in sys.argv:
        raise OSError("disk full")
    return 128 + number

class Busy:
    def __del__(self):
        print("ready", flush=True)
        while not shutdown.signal:  # nothing that is raised here would get out
            time.sleep(0.01)
        print("noticed", shutdown.signal, flush=True)
        while True:
            time.sleep(0.01)

handlers = SignalHandlers()
handlers.install()
handlers.attach(shutdown, report)
shutdown.create_part_file(sys.argv[1])
Busy()
"""


class HandlersTest(unittest.TestCase):
    """Within this process, whose own handlers are put aside."""

    def setUp(self) -> None:
        for number in NUMBERS:
            self.addCleanup(signal.signal, number, signal.signal(number, signal.SIG_DFL))
        self.shutdown = Shutdown()
        self.handlers = SignalHandlers()
        self.handlers.attach(self.shutdown, lambda _: None)
        self.addCleanup(self.handlers.restore)

    def test_the_first_signal_is_noted(self) -> None:
        for number in NUMBERS:
            with self.subTest(number):
                shutdown = Shutdown()
                handlers = SignalHandlers()
                handlers.install()
                handlers.attach(shutdown, lambda _: None)
                signal.raise_signal(number)
                handlers.restore()
                self.assertEqual(shutdown.signal, signal.SIGTERM if number == SIGBREAK else number)

    def test_a_break_is_a_termination(self) -> None:
        with mock.patch("runway_cli.cli.signals.SIGBREAK", signal.SIGINT):
            self.handlers.install()
            signal.raise_signal(signal.SIGINT)
        self.assertEqual(self.shutdown.signal, signal.SIGTERM)

    def test_what_was_there_before_is_put_back(self) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.handlers.install()
        self.assertNotEqual(signal.getsignal(signal.SIGINT), signal.default_int_handler)
        self.handlers.restore()
        self.assertEqual(signal.getsignal(signal.SIGINT), signal.default_int_handler)
        self.assertEqual(signal.getsignal(signal.SIGTERM), signal.SIG_DFL)

    def test_a_signal_that_the_caller_ignores_stays_ignored(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.handlers.install()
        signal.raise_signal(signal.SIGINT)
        self.assertEqual(self.shutdown.signal, 0)
        signal.raise_signal(signal.SIGTERM)
        self.assertEqual(self.shutdown.signal, signal.SIGTERM)

    def test_one_more_signal_does_not_cut_off_the_report_of_a_failure(self) -> None:
        self.handlers.install()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # the report returns None: it is being written already
        self.assertEqual(self.shutdown.signal, signal.SIGINT)

    def test_a_signal_before_the_run_exists_is_not_forgotten(self) -> None:
        handlers, shutdown = SignalHandlers(), Shutdown()
        handlers.install()
        signal.raise_signal(signal.SIGTERM)
        handlers.attach(shutdown, lambda _: None)
        handlers.restore()
        self.assertEqual(shutdown.signal, signal.SIGTERM)

    def test_another_thread_installs_nothing(self) -> None:
        thread = threading.Thread(target=self.handlers.install)
        thread.start()
        thread.join()
        self.assertEqual([signal.getsignal(number) for number in NUMBERS], [signal.SIG_DFL] * len(NUMBERS))
        self.handlers.restore()


@unittest.skipIf(os.name == "nt", "Windows has no such signals")
class SecondSignalTest(unittest.TestCase):
    """A process that is in the middle of a `__del__`, which swallows all that is raised."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.part = Path(folder.name) / "fox.part"
        # a shell that starts tests in the background has them ignore SIGINT, and children inherit that
        for number in NUMBERS:
            self.addCleanup(signal.signal, number, signal.signal(number, signal.SIG_DFL))

    def end(self, first: int, second: int, *mode: str) -> tuple[int, bytes]:
        """The exit status and the output of a process that gets two signals; a third one where it hangs."""
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(self.part), *mode],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout
            self.assertEqual(process.stdout.readline(), b"ready\n")
            self.assertTrue(self.part.exists())
            process.send_signal(first)
            self.assertEqual(process.stdout.readline(), b"noticed %d\n" % first)
            process.send_signal(second)
            output = process.stdout.readline()
            if "hang" in mode:
                process.send_signal(second)
            process.wait(10)
            return process.returncode, output

    def test_a_second_signal_ends_the_process_with_the_status_of_the_first(self) -> None:
        for first, second in ((signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT), (signal.SIGHUP,) * 2):
            with self.subTest(first=first, second=second):
                status, output = self.end(first, second)
                self.assertEqual(status, 128 + first)
                self.assertEqual(output, b"report %d\n" % first)
                self.assertFalse(self.part.exists())

    def test_a_report_that_fails_still_ends_the_process(self) -> None:
        status, _ = self.end(signal.SIGINT, signal.SIGINT, "fail")
        self.assertEqual(status, 130)

    def test_a_third_signal_ends_a_report_that_hangs(self) -> None:
        status, _ = self.end(signal.SIGINT, signal.SIGTERM, "hang")
        self.assertEqual(status, 130)


class ImportTest(unittest.TestCase):
    def test_the_handlers_are_installed_before_most_modules_are_imported(self) -> None:
        program = (
            "import sys; before = set(sys.modules); import runway_cli.cli.signals; print(*set(sys.modules) - before)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, encoding="ascii"
        )
        heavy = {"argparse", "json", "re", "ssl", "socket", "threading", "typing", "urllib"}
        self.assertEqual(heavy & set(done.stdout.split()), set())


if __name__ == "__main__":
    unittest.main()
