"""However a batch ends, every answer that can still be read is recorded, and the next call knows what was paid for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import unittest
from typing import Callable

from runway_cli.jobs.schedule import Scheduler
from runway_cli.shutdown import Shutdown
from tests.batches import BatchTest
from tests.served import eventually
from tests.test_batch_kills import ProcessTest


class Step:
    """A job with one step."""

    deadline = None

    def __init__(self, seconds: float, failure: Exception | None = None) -> None:
        self.seconds = seconds
        self.failure = failure

    def step(self, _: object) -> None:
        time.sleep(self.seconds)
        if self.failure:
            raise self.failure


class DrainTest(unittest.TestCase):
    def test_answers_are_awaited_although_several_jobs_have_a_defect(self) -> None:
        scheduler = Scheduler(time, Shutdown(), lambda _: None, 4)
        late = Step(0.3)
        for job in (late, *(Step(0.05 * number, ValueError("a defect")) for number in range(1, 4))):
            scheduler.add(job)
        with self.assertRaisesRegex(ValueError, "a defect"):
            list(scheduler.run())
        self.assertEqual(list(scheduler.drain(5)), [late])


@unittest.skipUnless(os.name == "posix", "limits, devices and signals of POSIX")
class EndTest(ProcessTest):
    def setUp(self) -> None:
        super().setUp()
        self.write(*map(str, range(8)))
        self.words = self.words[:-2]

    def hold_all_but_the_first(self) -> Callable[[], None]:
        """Holds the answers to POSTs but for one; returns what lets them go."""
        turn, released = threading.Semaphore(1), threading.Event()

        def hold(_: str) -> None:
            if not turn.acquire(blocking=False):
                released.wait(20)

        self.fake.on("post accepted", hold)
        return released.set

    def ids(self) -> list[str]:
        return sorted(accepted.id for accepted in self.fake.accepted)

    def recorded(self) -> list[str]:
        return sorted(attempt["id"] for attempt in self.attempts() if attempt["id"])

    def test_a_full_disk_under_stdout(self) -> None:
        if not os.path.exists("/dev/full"):
            self.skipTest("the system has no /dev/full")
        release = self.hold_all_but_the_first()
        with open("/dev/full", "wb") as full:
            words = [sys.executable, "-m", "runway_cli", *self.words, "--parallel", "3"]
            process = subprocess.Popen(words, env=self.surroundings, stdout=full, stderr=subprocess.PIPE)
            eventually(lambda: len(self.fake.accepted) == 3 and self.fake.sent("GET"))
            time.sleep(0.5)
            release()
            stderr = process.communicate(timeout=30)[1].decode()
        self.assertEqual(process.returncode, 74, stderr)
        self.assertEqual(self.recorded(), self.ids())
        running = {attempt["id"] for attempt in self.attempts() if attempt["status"] == "STARTED"}
        self.assertTrue(running)
        for identity in running:
            self.assertIn(identity, stderr.splitlines()[-1])

    def test_an_interrupt_whose_signal_closes_the_pipe_too(self) -> None:
        release = self.hold_all_but_the_first()
        process = self.start("--parallel", "3")
        assert process.stdout and process.stderr
        eventually(lambda: len(self.fake.accepted) == 3 and self.fake.sent("GET"))
        process.stdout.close()
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        release()
        stderr = process.stderr.read().decode()
        process.stderr.close()
        self.assertIn(process.wait(30), (130, 141), stderr)
        self.assertEqual(self.recorded(), self.ids())

    def test_few_open_files_and_many_rows_at_once(self) -> None:
        self.write(*map(str, range(40)))
        words = [sys.executable, "-m", "runway_cli", *self.words, "--parallel", "64"]
        limited = ["/bin/sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *words]
        done = subprocess.run(limited, env=self.surroundings, capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done)
        self.assertIn(b"4 at once, not 64: the limit of open files is 40", done.stderr)
        self.assertEqual(self.recorded(), self.ids())


class KilledWhileSavingTest(BatchTest):
    def test_a_file_that_was_saved_and_not_recorded_is_its_own(self) -> None:
        self.write("fox")
        self.assert_success(self.download())
        for has_length in (True, False):
            with self.subTest(has_length=has_length):
                for output in self.fake.storage.outputs.values():
                    output.no_length = not has_length
                self.forget_ends()
                self.assert_success(self.download())
                self.assertEqual(self.saved(), ["1.png"])
        self.assertEqual(len(self.fake.accepted), 1)
        (self.sky / "1.png").write_bytes(b"mine")
        self.forget_ends()
        self.assert_error(self.download(), 74, kind="io")
        self.assertEqual((self.sky / "1.png").read_bytes(), b"mine")
