"""`batch` and signals: nothing that was paid for is lost, and the same call goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import unittest

from runway_cli.shutdown import GRACE
from tests.batches import PATH, SHARED, BatchTest
from tests.fake import FakeRunway
from tests.program import ROOT, Result, checked, environment
from tests.served import eventually

NOT_STARTED = "NOT_STARTED"


@unittest.skipUnless(os.name == "posix", "signals between processes")
class SignalTest(unittest.TestCase):
    def setUp(self) -> None:
        self.batch = BatchTest()
        self.batch.setUp()
        self.addCleanup(self.batch.doCleanups)
        self.fake = FakeRunway(seconds_to_finish=0.001)
        self.fake.__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)
        self.env = environment({**self.fake.env(), **self.batch.env, "PYTHONPATH": str(ROOT)})
        self.batch.write(*map(str, range(8)))
        self.words = ["batch", PATH, str(self.batch.prompts), *SHARED, "--download", f"{self.batch.sky}/"]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        full = [sys.executable, "-m", "runway_cli", *(words or self.words)]
        return subprocess.Popen(full, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)  # fmt: skip

    def await_accepted(self, count: int) -> None:
        eventually(lambda: len(self.fake.accepted) == count)

    def ended(self, process: subprocess.Popen[bytes]) -> Result:
        stdout, stderr = process.communicate(timeout=30)
        return checked(Result(self.words, process.returncode, stdout, stderr), self.env)

    def test_answers_on_their_way_are_awaited_and_the_same_call_goes_on(self) -> None:
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
            with self.subTest(status), self.fake.hold("post accepted") as held:
                before = len(self.fake.accepted)
                process = self.start()
                self.await_accepted(before + 4)
                process.send_signal(number)
                time.sleep(0.6)
                held.release()
                result = self.ended(process)
                self.assertEqual(result.exit, status, result)
                self.assertEqual(result.error["kind"], "interrupted")
                self.assertIn("batch /v1/text_to_image", result.error["example"])
                self.assertEqual(len(self.fake.accepted), before + 4, "a row was started after the signal")
                self.assertEqual(len(self.batch.records("started")), len(self.fake.accepted))
            self.batch.write(*map(str, range(before + 12)))
        result = self.ended(self.start())
        self.assertEqual(result.exit, 0, result)
        prompts = [accepted.body["promptText"] for accepted in self.fake.accepted]
        self.assertEqual(len(prompts), len(set(prompts)))

    def test_an_answer_that_does_not_come_is_awaited_for_five_seconds(self) -> None:
        with self.fake.hold("post accepted"):
            process = self.start()
            self.await_accepted(4)
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            result = self.ended(process)
            waited = time.monotonic() - began
        self.assertEqual(result.exit, 130)
        self.assertGreater(waited, 4.5)
        self.assertLess(waited, 8)
        self.assertIn("without an answer: 4", result.error["error"])

    def test_without_answers_on_their_way_it_ends_at_once(self) -> None:
        self.fake.pace.seconds_to_finish = 1000
        process = self.start()
        eventually(lambda: len(self.batch.records("started")) == 4 if self.batch.log.exists() else False)
        eventually(lambda: len(self.fake.sent("GET")) == 4)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        result = self.ended(process)
        self.assertLess(time.monotonic() - began, 2)
        self.assertIn("rows running: 4, not started: 4", result.error["error"])
        self.assertEqual(result.notes[-1], "0 of 8 done, 4 running, 0 failed, 20 credits")

    def test_a_reader_that_leaves_ends_it_quietly_and_loses_nothing(self) -> None:
        process = self.start()
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        stderr = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(30), 141)
        self.assertNotIn(b"error", stderr)
        recorded = {record["id"] for record in self.batch.records("started")}
        self.assertEqual(recorded, {accepted.id for accepted in self.fake.accepted})

    def test_a_second_signal_ends_it_at_once(self) -> None:
        with self.fake.hold("post accepted"):
            process = self.start()
            self.await_accepted(4)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            time.sleep(GRACE + 0.2)
            process.send_signal(signal.SIGINT)
            result = self.ended(process)
        self.assertLess(time.monotonic() - began, 3)
        self.assertEqual(result.exit, 130)
        self.assertEqual(result.error["example"], "runway-cli history", result)
