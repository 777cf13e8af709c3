"""A batch that is killed again and again: no row is paid for twice, and every output is there, whole.

Kills by the clock alone miss the moments that matter, so the stand-in kills the process at exact ones too, and the
campaign fails if one of them was never hit. The short one is part of the suite; RUNWAY_CLI_LONG_TESTS=1 plays 60 rows
with 150 kills.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fake import FakeRunway, pseudo_content
from tests.program import ROOT, environment

IS_LONG = bool(os.environ.get("RUNWAY_CLI_LONG_TESTS"))
ROWS, KILLS = (60, 150) if IS_LONG else (14, 14)
SPARE = 6  # rows that are left for the last kills
SIZE = 3_000_000  # bytes of an output: more than a socket holds, so that half an output is a part file
PATH = "/v1/text_to_image"
CLOCK = "by the clock"
MOMENTS = ("post accepted", "post answered", "output half sent", "output sent")
MAX_DELAY = 0.02  # seconds after a moment; what follows it on the client's side is hit too


class Killer:
    """Kills the process that runs at the next armed moment. Its hits count only kills of a live process."""

    def __init__(self, fake: FakeRunway) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.hits: Counter[str] = Counter()
        self._armed = ""
        self._skip = 0
        self._delay = 0.0
        self._turn = threading.Lock()
        for moment in MOMENTS:
            fake.on(moment, self._reaction(moment))

    def arm(self, moment: str, process: subprocess.Popen[bytes], *, skip: int, delay: float) -> None:
        """Kill it when it has come to the moment for the time `skip` + 1, after `delay` seconds."""
        with self._turn:
            self.process, self._armed, self._skip, self._delay = process, moment, skip, delay

    def disarm(self) -> None:
        with self._turn:
            self.process, self._armed = None, ""

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
            with self._turn:
                if self._armed != moment:
                    return
                self._skip -= 1
                if self._skip >= 0:
                    return
                self._armed = ""
            time.sleep(self._delay)
            self.kill(moment)

        return react


class KillsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.fake = FakeRunway(seconds_to_finish=0.001)
        self.fake.output_size = SIZE
        self.fake.__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.sky = self.folder / "sky"
        rows = self.folder / "prompts.jsonl"
        rows.write_text("".join(f'{{"promptText": "fox {row}"}}\n' for row in range(1, ROWS + 1)), encoding="utf-8")
        state = str(self.folder / "history.jsonl")
        self.env = environment({**self.fake.env(), "PYTHONPATH": str(ROOT), "RUNWAY_SKILLS_HISTORY": state})
        shared = ("-f", "model=gen4_image", "-f", "ratio=1280:720", "--download", str(self.sky))
        self.words = [sys.executable, "-m", "runway_cli", "batch", PATH, str(rows), *shared]

        began = time.monotonic()
        self.finish("--dry-run")
        self.start_up = time.monotonic() - began

    def start(self, parallel: str) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        words = [*self.words, "--parallel", parallel]
        return subprocess.Popen(words, env=self.env, stdin=quiet, stdout=quiet, stderr=quiet)

    def finish(self, *words: str) -> tuple[int, list[dict[str, Any]]]:
        """Run it to its end: the exit status and the rows."""
        done = subprocess.run([*self.words, *words], env=self.env, capture_output=True, timeout=120, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def assert_never_paid_twice(self) -> None:
        prompts = Counter(accepted.body["promptText"] for accepted in self.fake.accepted)
        self.assertEqual([prompt for prompt, count in prompts.items() if count > 1], [], "paid for twice")

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
            self.assertEqual(row["id"], paid[f"fox {row['row']}"])
            self.assertEqual(Path(row["saved"][0]).read_bytes(), content, row)
            names.append(Path(row["saved"][0]).name)
        self.assertEqual(sorted(path.name for path in self.sky.iterdir()), sorted(names))

    def test_no_kill_makes_a_row_be_paid_for_twice_or_lose_its_output(self) -> None:
        chance = random.Random(11)
        killer = Killer(self.fake)
        began = time.monotonic()
        part_files = 0
        plan = itertools.cycle((CLOCK, *MOMENTS))
        while sum(killer.hits.values()) < KILLS:
            # a kill in the middle of an output brings no row nearer to its end: there are rows left for the last kill
            is_early = len(self.fake.accepted) / (ROWS - SPARE) > sum(killer.hits.values()) / KILLS
            if is_early and all(killer.hits[moment] for moment in (*MOMENTS, CLOCK)):
                self.kill_once(killer, "output half sent", "1", skip=0, delay=0.0)
            else:
                delay = chance.choice((0.0, chance.uniform(0.0, MAX_DELAY)))
                parallel = chance.choice(("1", "3"))
                self.kill_once(killer, next(plan), parallel, skip=chance.choice((0, 0, 1)), delay=delay)
            part_files += any(path.name.endswith(".part") for path in self.sky.glob(".*"))
            self.assert_never_paid_twice()
        status, rows = self.finish()
        self.assert_never_paid_twice()
        self.assert_whole(rows)
        uncertain = sum(row["status"] == "UNCERTAIN" for row in rows)
        self.assertEqual(status, 1 if uncertain else 0)
        for moment in (*MOMENTS, CLOCK):
            self.assertGreater(killer.hits[moment], 0, f"no kill hit: {moment}")
        self.assertGreater(part_files, 0, "no kill left a part file")
        self.assertGreater(uncertain, 0, "no kill came between a POST and its answer")
        self.assertGreater(len(rows) - uncertain, ROWS // 3, "too few rows were left to be saved")
        if IS_LONG:
            print(f"{dict(killer.hits)}, {part_files} part files, {uncertain} uncertain, "
                  f"{time.monotonic() - began:.0f} s")  # fmt: skip

    def kill_once(self, killer: Killer, moment: str, parallel: str, *, skip: int, delay: float) -> None:
        """Play one run, and kill it at the moment."""
        hits = sum(killer.hits.values())
        process = self.start(parallel)
        if moment == CLOCK:
            killer.arm("", process, skip=0, delay=0.0)
            time.sleep(self.start_up * (0.5 + 0.6 * delay / MAX_DELAY))
            killer.kill(CLOCK)
        else:
            killer.arm(moment, process, skip=skip, delay=delay)
        process.wait(60)
        killer.disarm()
        is_killed = sum(killer.hits.values()) > hits
        self.assertTrue(is_killed, f"it ended by itself: no row was left for a kill; {killer.hits}")
