"""A process that is killed while it starts something: every POST that the service accepted is in the history.

Kills by the clock alone miss the moments that matter, so the stand-in is held at exact ones too. The short campaign is
part of the suite; RUNWAY_CLI_LONG_TESTS=1 plays 300 kills.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any

from tests.fake import FakeRunway
from tests.program import ROOT, environment
from tests.served import eventually

KILLS = 300 if os.environ.get("RUNWAY_CLI_LONG_TESTS") else 8
MOMENTS = ("post accepted", "post answered", "first poll")
FOX = ("request", "POST", "/v1/text_to_image", "-f", "model=gen4_image", "-f", "ratio=1280:720", "--wait")


class KillsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.fake = FakeRunway(seconds_to_finish=0.001)
        self.fake.__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.env = environment(
            {
                **self.fake.env(),
                "PYTHONPATH": str(ROOT),
                "RUNWAY_SKILLS_HISTORY": str(Path(folder.name) / "history.jsonl"),
            }
        )

    def start(self, number: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "runway_cli", *FOX, "-f", f"promptText=fox {number}"]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(words, env=self.env, stdin=quiet, stdout=quiet, stderr=quiet)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()

    def await_own(self, number: int, ids: list[str]) -> None:
        """Wait for POST `number` to be held: the exchange of the process before may come to this moment too."""
        eventually(lambda: len(self.fake.accepted) > number and self.fake.accepted[number].id in ids)

    def rows(self) -> list[dict[str, Any]]:
        words = [sys.executable, "-m", "runway_cli", "history"]
        done = subprocess.run(words, env=self.env, capture_output=True, check=True, timeout=60)
        found = json.loads(done.stdout)["data"]
        assert isinstance(found, list)
        return found

    def assert_nothing_forgotten(self) -> None:
        """Every accepted POST is listed, by its id or as UNCERTAIN by its prompt, and none was sent twice."""
        rows = self.rows()
        ids = {row["id"] for row in rows}
        uncertain = [row["prompt"] for row in rows if row["status"] == "UNCERTAIN"]
        prompts = [accepted.body["promptText"] for accepted in self.fake.accepted]
        for accepted in self.fake.accepted:
            self.assertTrue(accepted.id in ids or accepted.body["promptText"] in uncertain, accepted)
        self.assertEqual(len(prompts), len(set(prompts)), "a POST was sent twice")

    def test_killed_at_exact_moments(self) -> None:
        for number, moment in enumerate(MOMENTS):
            with self.subTest(moment), self.fake.hold(moment) as held:
                process = self.start(number)
                self.await_own(number, held.ids)
                self.kill(process)
            self.assertEqual(len(self.fake.accepted), number + 1)
        self.assert_nothing_forgotten()
        by_prompt = {row["prompt"]: row for row in self.rows()}
        self.assertEqual(by_prompt["fox 0"]["status"], "UNCERTAIN")
        self.assertEqual(by_prompt["fox 2"]["id"], self.fake.accepted[2].id)

    def test_killed_at_random_moments(self) -> None:
        chance = random.Random(7)
        began = time.monotonic()
        self.start(0).wait(60)
        whole = time.monotonic() - began
        hits = 0
        for number in range(1, KILLS + 1):
            accepted = threading.Event()
            self.fake.on("post accepted", lambda _, accepted=accepted: accepted.set())  # type: ignore[misc]
            process = self.start(number)
            if number % 2:
                accepted.wait(60)  # the milliseconds after this moment are the ones that matter
                time.sleep(chance.uniform(0, 0.015))
            else:
                time.sleep(chance.uniform(0, whole))
            hits += accepted.is_set() and process.poll() is None
            self.kill(process)
        self.assertGreater(hits, 0, "no kill came between an accepted POST and the end")
        self.assert_nothing_forgotten()
