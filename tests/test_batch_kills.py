"""A batch as a process that is killed or interrupted: no row is paid for twice, and no output is lost.

However a batch ends, every answer that can still be read is recorded, and the next call knows what was paid for.

Kills by the clock alone miss the moments that matter, so the stand-in kills the process at exact ones too, and the
campaign fails if one of them was never hit. The short one is part of the suite; RUNWAY_CLI_LONG_TESTS=1 plays 60 rows
with 150 kills.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
from collections import Counter
from pathlib import Path
from typing import Any, Callable

from tests.batches import PATH, SHARED, BatchTest
from tests.fake import FakeRunway, pseudo_content
from tests.program import ROOT, Result, checked, environment, shell_words
from tests.served import eventually

IS_LONG = bool(os.environ.get("RUNWAY_CLI_LONG_TESTS"))
ROWS, KILLS = (60, 150) if IS_LONG else (18, 14)
SPARE = 6  # rows that are left for the last kills
SIZE = 3_000_000  # bytes of an output: more than a socket holds, so that half an output is a part file
CLOCK = "by the clock"
MOMENTS = ("post accepted", "post answered", "output half sent", "output sent")
MAX_DELAY = 0.02  # seconds after a moment; what follows it on the client's side is hit too


class ProcessTest(BatchTest):
    """A batch as a process, with services in real time."""

    def setUp(self) -> None:
        super().setUp()
        self.fake = FakeRunway(seconds_to_finish=0.001)
        self.fake.__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)
        self.surroundings = environment({**self.fake.env(), **self.env, "PYTHONPATH": str(ROOT)})
        self.words = ["batch", PATH, str(self.prompts), *SHARED, "--download", f"{self.sky}/"]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        full, pipe = [sys.executable, "-m", "runway_cli", *self.words, *words], subprocess.PIPE
        return subprocess.Popen(full, env=self.surroundings, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)

    def ended(self, process: subprocess.Popen[bytes]) -> Result:
        stdout, stderr = process.communicate(timeout=120)
        return checked(Result(self.words, process.returncode, stdout, stderr), self.surroundings)

    def assert_never_paid_twice(self) -> None:
        prompts = Counter(accepted.body["promptText"] for accepted in self.fake.accepted)
        self.assertEqual([prompt for prompt, count in prompts.items() if count > 1], [], "paid for twice")


class Killer:
    """Kills the process that runs at the next armed moment. Its hits count only kills of a live process.

    From that moment on, and all the time before a kill by the clock, the stand-in sends no further output whole: so no
    row makes room for the next, and there are rows left for the last kill, however slow the machine is.
    """

    def __init__(self, fake: FakeRunway) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.hits: Counter[str] = Counter()
        self._armed = ""
        self._skip = 0
        self._delay = 0.0
        self._turn = threading.RLock()
        for moment in MOMENTS:
            fake.on(moment, self._reaction(moment))

    def arm(self, moment: str, process: subprocess.Popen[bytes], *, skip: int, delay: float) -> None:
        """Kill it when it has come to the moment for the time `skip` + 1, after `delay` seconds."""
        with self._turn:
            self.process, self._armed, self._skip, self._delay = process, moment, skip, delay

    def kill(self, moment: str) -> None:
        """Kill the process now, if it has not ended."""
        with self._turn:
            process, self.process, self._armed = self.process, None, ""
            if process and process.poll() is None:
                process.kill()
                process.wait()
                self.hits[moment] += 1

    def _reaction(self, moment: str) -> Any:
        def react(_: str) -> None:
            process = self.process
            if process and self._armed == CLOCK and moment == "output half sent":
                process.wait(60)
            elif moment in (self._armed, "output half sent"):
                with self._turn:
                    self._skip -= self._armed == moment
                    if self._armed == moment and self._skip < 0:
                        time.sleep(self._delay)
                        self.kill(moment)

        return react


class KillsTest(ProcessTest):
    def setUp(self) -> None:
        super().setUp()
        self.fake.output_size = SIZE
        for server in self.fake._servers:  # what was sent is not in a buffer: half an output is a part file
            server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        self.write(*map(str, range(1, ROWS + 1)))
        began = time.monotonic()
        self.ended(self.start("--dry-run"))
        self.start_up = time.monotonic() - began

    def assert_whole(self, rows: list[dict[str, Any]]) -> None:
        """Every row is done with its file, or UNCERTAIN and said to be so; nothing else is in the folder."""
        content = b"".join(pseudo_content(0, SIZE))
        paid = {accepted.body["promptText"]: accepted.id for accepted in self.fake.accepted}
        self.assertEqual(sorted(row["row"] for row in rows), list(range(1, ROWS + 1)))
        names = []
        for row in rows:
            if row["status"] == "UNCERTAIN":
                self.assertTrue(row["maybeAccepted"])
                continue
            self.assertEqual(row["status"], "SUCCEEDED", row)
            self.assertEqual(row["id"], paid[str(row["row"])])
            self.assertEqual(Path(row["saved"][0]).read_bytes(), content, row)
            names.append(Path(row["saved"][0]).name)
        self.assertEqual(self.saved(), sorted(names))

    def test_no_kill_makes_a_row_be_paid_for_twice_or_lose_its_output(self) -> None:
        chance = random.Random(11)
        killer = Killer(self.fake)
        began = time.monotonic()
        part_files = 0
        plan = itertools.cycle((CLOCK, *MOMENTS))
        while sum(killer.hits.values()) < KILLS:
            # a kill in the middle of an output brings no row nearer to its end: there are rows left for the last kill
            has_all = all(killer.hits[moment] for moment in (*MOMENTS, CLOCK))
            if has_all and len(self.attempts()) / (ROWS - SPARE) > sum(killer.hits.values()) / KILLS:
                self.kill_once(killer, "output half sent", "1", skip=0, delay=0.0)
            else:
                delay = chance.choice((0.0, chance.uniform(0.0, MAX_DELAY)))
                parallel = chance.choice(("1", "3"))
                self.kill_once(killer, next(plan), parallel, skip=chance.choice((0, 0, 1)), delay=delay)
            part_files += any(name.endswith(".part") for name in self.saved())
            self.assert_never_paid_twice()
        result = self.ended(self.start())
        self.assert_never_paid_twice()
        self.assert_whole(result.lines)
        uncertain = sum(row["status"] == "UNCERTAIN" for row in result.lines)
        self.assertEqual(result.exit, 1 if uncertain else 0)
        for moment in (*MOMENTS, CLOCK):
            self.assertGreater(killer.hits[moment], 0, f"no kill hit: {moment}")
        self.assertGreater(part_files, 0, "no kill left a part file")
        self.assertGreater(uncertain, 0, "no kill came between a POST and its answer")
        self.assertGreater(len(result.lines) - uncertain, ROWS // 3, "too few rows were left to be saved")
        if IS_LONG:
            print(f"{dict(killer.hits)}, {part_files} part files, {uncertain} uncertain, "
                  f"{time.monotonic() - began:.0f} s")  # fmt: skip

    def kill_once(self, killer: Killer, moment: str, parallel: str, *, skip: int, delay: float) -> None:
        """Play one run, and kill it at the moment."""
        hits = sum(killer.hits.values())
        process = self.start("--parallel", parallel)
        killer.arm(moment, process, skip=skip, delay=delay)
        if moment == CLOCK:
            time.sleep(self.start_up * (0.5 + 0.6 * delay / MAX_DELAY))
            killer.kill(CLOCK)
        process.communicate(timeout=60)
        is_killed = sum(killer.hits.values()) > hits
        self.assertTrue(is_killed, f"it ended by itself: no row was left for a kill; {killer.hits}")


@unittest.skipUnless(os.name == "posix", "signals between processes")
class SignalTest(ProcessTest):
    def setUp(self) -> None:
        super().setUp()
        self.write(*map(str, range(8)))

    def started(self, *words: str, count: int = 4) -> subprocess.Popen[bytes]:
        """A run, once that many POSTs of it were accepted."""
        expected = len(self.fake.accepted) + count
        process = self.start(*words)
        eventually(lambda: len(self.fake.accepted) == expected)
        return process

    def test_answers_in_progress_are_awaited_and_the_same_call_resumes(self) -> None:
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
            with self.subTest(status), self.fake.hold("post accepted") as held:
                process = self.started()
                before = len(self.fake.accepted)
                process.send_signal(number)
                time.sleep(0.6)
                held.release()
                result = self.ended(process)
                self.assertEqual(result.exit, status, result)
                self.assertEqual(result.error["kind"], "interrupted")
                self.assertIn("batch /v1/text_to_image", result.error["example"])
                self.assertEqual(len(self.fake.accepted), before, "a row was started after the signal")
                self.assertEqual(len([row for row in self.attempts() if row["id"]]), before)
            self.write(*map(str, range(before + 8)))
        self.assert_success(self.ended(self.start()))
        self.assert_never_paid_twice()

    def test_an_answer_that_does_not_come_is_awaited_for_five_seconds(self) -> None:
        with self.fake.hold("post accepted"):
            process = self.started()
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            result = self.ended(process)
            waited = time.monotonic() - began
        self.assertEqual(result.exit, 130)
        self.assertGreater(waited, 4.5)
        self.assertLess(waited, 8)
        self.assertIn("without an answer: 4", result.error["error"])

    def test_without_answers_in_progress_it_ends_at_once(self) -> None:
        self.fake.pace.seconds_to_finish = 1000
        process = self.started("--retry-uncertain", "--retry-failed")
        eventually(lambda: len(self.fake.sent("GET")) == 4)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        result = self.ended(process)
        self.assertLess(time.monotonic() - began, 2)
        again = "run the same command again, without --retry-failed and --retry-uncertain, to resume"
        self.assertRegex(result.error["error"], rf"rows in progress: 4 \(.*\), not started: 4; {again}$")
        self.assertEqual(shell_words(result.error["example"])[-len(self.words) :], self.words)
        for accepted in self.fake.accepted:
            self.assertIn(accepted.id, result.error["error"])
        self.assertEqual(result.notes[-1], "0 of 8 done, 4 running, 0 failed, 20 credits")

    def test_a_closed_stdout_ends_it_quietly_and_loses_nothing(self) -> None:
        process = self.start()
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        stderr = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(30), 141)
        self.assertNotIn(b"error", stderr)
        recorded = {attempt["id"] for attempt in self.attempts() if attempt["id"]}
        self.assertEqual(recorded, {accepted.id for accepted in self.fake.accepted})


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
        self.assertIn(b"4 at once, not 64: the limit on open files is 40", done.stderr)
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
