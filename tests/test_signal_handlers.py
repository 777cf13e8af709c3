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

from runway_cli.shutdown import LAST_WORDS, SIGBREAK, Shutdown, SignalHandlers

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if getattr(signal, name, None)]
PROGRAM = """
import os, signal, sys, time
import runway_cli.shutdown
from runway_cli.shutdown import Shutdown, SignalHandlers

runway_cli.shutdown.GRACE = 0.0
shutdown = Shutdown()

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
handlers.attach(shutdown)
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
        self.handlers.attach(self.shutdown)
        self.addCleanup(self.handlers.restore)

    def test_the_first_signal_is_noted(self) -> None:
        for number in NUMBERS:
            with self.subTest(number):
                shutdown = Shutdown()
                handlers = SignalHandlers()
                handlers.install()
                handlers.attach(shutdown)
                signal.raise_signal(number)
                handlers.restore()
                self.assertEqual(shutdown.signal, signal.SIGTERM if number == SIGBREAK else number)

    def test_a_break_is_a_termination(self) -> None:
        with mock.patch("runway_cli.shutdown.SIGBREAK", signal.SIGINT):
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

    def test_a_signal_that_is_sent_twice_counts_once(self) -> None:
        self.handlers.install()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        self.assertEqual(self.shutdown.signal, signal.SIGINT)

    def test_a_signal_before_the_run_exists_is_not_forgotten(self) -> None:
        handlers, shutdown = SignalHandlers(), Shutdown()
        handlers.install()
        signal.raise_signal(signal.SIGTERM)
        handlers.attach(shutdown)
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

    def test_a_later_signal_ends_the_process_with_the_status_of_the_first(self) -> None:
        for first, second in ((signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT), (signal.SIGHUP,) * 2):
            with self.subTest(first=first, second=second), self.busy() as process:
                assert process.stdout and process.stderr
                self.assertEqual(process.stdout.readline(), b"ready\n")
                self.assertTrue(self.part.exists())
                process.send_signal(first)
                self.assertEqual(process.stdout.readline(), b"noticed %d\n" % first)
                process.send_signal(second)
                process.wait(10)
                self.assertEqual(process.returncode, 128 + first)
                self.assertEqual(process.stderr.read(), LAST_WORDS)
                self.assertFalse(self.part.exists())

    def busy(self) -> subprocess.Popen[bytes]:
        """A process that looks at no signal, with a part file."""
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(self.part)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


class ImportTest(unittest.TestCase):
    def test_the_handlers_are_installed_before_most_modules_are_imported(self) -> None:
        program = "import sys; before = set(sys.modules); import runway_cli.shutdown; print(*set(sys.modules) - before)"
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, encoding="ascii"
        )
        heavy = {"argparse", "json", "re", "ssl", "socket", "threading", "typing", "urllib"}
        self.assertEqual(heavy & set(done.stdout.split()), set())


if __name__ == "__main__":
    unittest.main()
