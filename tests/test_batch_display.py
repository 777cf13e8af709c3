"""The progress of `batch` on a terminal: a line for the whole, and one for each row in flight."""

from __future__ import annotations

import os
import re
import time
from unittest import mock

from runway_cli.cli.main import main
from tests.batches import PATH, SHARED, BatchTest
from tests.fake import Fault
from tests.program import environment
from tests.streams import captured


class TerminalTest(BatchTest):
    def frames(self, *words: str) -> list[list[str]]:
        """What was drawn, frame by frame."""
        env = environment({**self.fake.env(), **self.env, "TERM": "xterm"})
        argv = ["batch", PATH, str(self.prompts), *SHARED, *words]
        with mock.patch.dict(os.environ, env, clear=True), captured(err_is_terminal=True, columns=100) as kept:
            self.assertEqual(main(argv, self.clock), 0)
        self.text = kept.err.text
        return [frame.splitlines() for frame in re.split(r"\r\x1b\[\d+A\x1b\[J", self.text)]

    def test_the_whole_and_each_row_in_flight_have_a_line(self) -> None:
        self.write({"promptText": "fox", "@name": "fox"}, {"promptText": "owl", "@name": "owl"})
        frames = self.frames()
        self.assertIn("0 of 2 done, 2 running, 0 failed, 10 credits", [frame[0] for frame in frames if frame])
        running = next(frame for frame in frames if len(frame) == 3 and "RUNNING" in frame[1])
        self.assertRegex(running[1], r"^(fox|owl) +RUNNING \[#*-*\] \d+% \d+ s 5 credits$")

    def test_the_time_left_follows_from_the_pace_so_far(self) -> None:
        self.write("fox", "owl", "elk")
        wholes = [frame[0] for frame in self.frames("--parallel", "1") if frame]
        self.assertNotIn(" left", wholes[0])
        self.assertTrue(any(re.search(r"^1 of 3 done, .*, \d+ s left$", whole) for whole in wholes), wholes)

    def test_the_lines_are_taken_away_at_the_end(self) -> None:
        self.write("fox")
        frames = self.frames()
        self.assertEqual(frames[-1], ["1 of 1 succeeded, 5 credits"])

    def test_a_row_that_is_not_sent_yet_says_what_it_does(self) -> None:
        cat = self.file("cat.png", b"\x89PNG\r\n\x1a\n1")
        self.write({"promptText": "fox", "@upload.referenceImages.0.uri": str(cat)})
        self.fake.fault(Fault("slow", seconds=1.3), path="/v1/uploads")
        self.fake.pace.polls_to_finish = 0
        self.clock = time  # type: ignore[assignment]
        self.frames()
        self.assertIn("\n1 uploading\n", self.text)
