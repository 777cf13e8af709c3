"""What a person at a terminal sees of waiting, uploads and downloads, as the terminal shows it."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import sys
import threading
import unittest
from unittest import mock

if sys.platform != "win32":
    import fcntl
    import pty
    import termios

from runway_cli.cli.main import main
from runway_cli.terminal.masking import readable_size
from runway_cli.terminal.tables import display_width
from tests.fake import Fault, sample
from tests.program import Clock, environment
from tests.served import ServedTest


class Screen:
    """A terminal of so many columns and lines, as much as the program uses of one; `seen` is what it ever showed."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self.lines = lines
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.stream = io.TextIOWrapper(os.fdopen(slave, "wb", buffering=0), encoding="utf-8")
        self.raw = b""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self.master, 65536)
            except OSError:  # what Linux says once the other side is closed
                return
            if not piece:
                return
            self.raw += piece

    def close(self) -> None:
        self.stream.close()
        self.reader.join(10)
        os.close(self.master)

    def frames(self) -> list[list[str]]:
        """The screen after each write that ended a line, scrolled text left out."""
        rows, seen = [""], []
        for part in re.split(r"(\r\n|\r|\x1b\[\d+A|\x1b\[J)", self.raw.decode()):
            if part == "\r\n":
                rows.append("")
                seen.append(rows[:-1])
            elif part.endswith("A") and part.startswith("\x1b"):
                up = int(part[2:-1])
                assert up < self.lines, "the cursor cannot reach what has left the screen"
                rows = rows[: -1 - up] + [""] * bool(up)
            elif part not in ("\r", "\x1b[J"):
                rows[-1] += part
        return [*seen, rows[:-1] if rows[-1] == "" else rows]


class Ticking(Clock):
    """A clock on which every look takes a tenth of a second: lines are redrawn no more often than some time passes."""

    def monotonic(self) -> float:
        self.now += 0.1
        return self.now


@unittest.skipIf(sys.platform == "win32", "there are no pseudo-terminals")
class AtATerminal(ServedTest):
    def shown(
        self, *argv: str, columns: int = 80, lines: int = 24, env: dict[str, str] | None = None
    ) -> list[list[str]]:
        """The frames of stderr while a call runs; stdout is no terminal."""
        screen, self.stdout = Screen(columns, lines), io.BytesIO()
        variables = environment({**self.fake.env(), "TERM": "xterm", **(env or {})})
        with (
            mock.patch.dict(os.environ, variables, clear=True),
            mock.patch.multiple(
                sys,
                stdout=io.TextIOWrapper(self.stdout, encoding="utf-8"),
                stderr=screen.stream,
                __stdout__=None,
                __stderr__=screen.stream,
            ),
        ):
            self.status = main(list(argv), self.clock)
            self.output = self.stdout.getvalue()
        screen.close()
        self.raw = screen.raw
        return screen.frames()

    def test_one_live_line_a_task(self) -> None:
        task = self.fake.add_task(
            statuses=["PENDING", "RUNNING", "RUNNING", "SUCCEEDED"], progress=[0.1, 0.5], credits=25
        )
        frames = self.shown("wait", task)
        lines = list(dict.fromkeys(line for frame in frames for line in frame))
        self.assertEqual(
            [line for line in lines if re.search(r" (0|4|6|9|14) s", line)],
            [
                f"{task} PENDING 0 s 25 credits",
                f"{task} PENDING 4 s 25 credits",
                f"{task} RUNNING [#---------] 10% 6 s 25 credits",
                f"{task} RUNNING [#---------] 10% 9 s 25 credits",
                f"{task} RUNNING [#####-----] 50% 14 s 25 credits",
            ],
        )
        self.assertEqual(self.status, 0)
        self.assertEqual(max(map(len, frames)), 1)
        self.assertEqual(frames[-1], [])

    def test_notes_stand_above_the_lines_and_stay(self) -> None:
        ids = [self.fake.add_task(statuses=["THROTTLED", "RUNNING", "SUCCEEDED"]) for _ in range(2)]
        self.fake.fault(Fault("status"), path=f"/v1/tasks/{ids[0]}", after=1)
        frames = self.shown("wait", *ids, columns=160)
        self.assertEqual(
            frames[-1],
            [
                "THROTTLED: queued until a running generation ends; your tier limits how many run at once",
                f"{ids[0]}: a fault was ordered; polling continues",
            ],
        )
        self.assertIn([frames[-1][0], f"{ids[0]} THROTTLED 2 s 5 credits", f"{ids[1]} THROTTLED 2 s 5 credits"], frames)

    def test_more_lines_than_the_terminal_has_are_counted(self) -> None:
        ids = [self.fake.add_task(statuses=["RUNNING", "SUCCEEDED"]) for _ in range(12)]
        frames = self.shown("wait", *ids, lines=8)
        self.assertEqual(self.status, 0)
        self.assertEqual(max(map(len, frames)), 7)
        self.assertEqual(frames[-1], [])
        self.assertIn("… and 6 more", {line for frame in frames for line in frame})

    def test_long_lines_are_cut_to_the_width(self) -> None:
        task = self.fake.add_task(statuses=["RUNNING", "SUCCEEDED"])
        frames = self.shown("wait", task, columns=40)
        self.assertEqual({len(line) for frame in frames for line in frame}, {39})

    def test_in_a_narrow_terminal_an_id_is_cut_and_what_is_told_of_it_is_not(self) -> None:
        ids = [self.fake.add_task(statuses=["RUNNING", "SUCCEEDED"]) for _ in range(2)]
        frames = self.shown("wait", *ids, columns=60)
        told = " RUNNING [#####-----] 50% 2 s 5 credits"
        cut = 58 - len(told)  # the line has 59 columns, one of them an ellipsis
        self.assertIn([f"{name[:cut]}…{told}" for name in ids], frames)

    def test_names_in_wide_characters_fit_too(self) -> None:
        cat = self.file("狐" * 40 + ".png", sample("image") * 4000)
        frames = self.shown("upload", str(cat), columns=60)
        lines = {line for frame in frames for line in frame}
        self.assertEqual(lines != set(), True, lines)
        self.assertEqual({display_width(line) for line in lines} - {59}, set(), lines)

    def test_uploads_and_downloads_have_a_bar(self) -> None:
        cat = self.file("cat.png", sample("image") * 4000)
        frames = self.shown("upload", str(cat))
        size = readable_size(cat.stat().st_size)
        self.assertTrue(
            any(line.startswith(f"cat.png  [##########] {size} of {size}") for frame in frames for line in frame),
            frames,
        )
        self.assertEqual(self.status, 0)
        self.assertEqual(frames[-1], [])
        url = self.fake.add_output(bytes(5_000_000), name="fox.bin")
        frames = self.shown("download", url, "--to", f"{self.folder}/")
        self.assertTrue(
            any(line.startswith("fox.bin  [##########] 5.0 MB of 5.0 MB") for frame in frames for line in frame),
            frames,
        )
        self.assertEqual(self.status, 0)
        self.assertEqual(frames[-1], [])

    def test_the_line_of_a_task_shows_its_download_with_rate_and_remaining_time(self) -> None:
        self.clock = Ticking()
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[bytes(3_000_000)])
        frames = self.shown("wait", task, "--download", f"{self.folder}/", columns=120)
        self.assertTrue(
            any(
                re.fullmatch(rf"{task} SUCCEEDED \[#+-+\] \S+ MB of 3\.0 MB, \S+ kB/s, \d s left \d s 5 credits", line)
                for frame in frames
                for line in frame
            ),
            frames,
        )
        self.assertEqual(self.status, 0)
        self.assertEqual(frames[-1], [])

    def test_an_error_stands_where_the_lines_were(self) -> None:
        task = self.fake.add_task(statuses=["RUNNING"])
        frames = self.shown("wait", task, "--max-wait", "3", columns=120)
        self.assertEqual(self.status, 75)
        words, example = frames[-1]
        self.assertEqual(words, f"error: {task} is still RUNNING after 3 s")
        self.assertTrue(example.startswith("  try: "), example)
        self.assertTrue(example.endswith(f" wait {task} --max-wait 3"), example)

    def test_with_output_json_an_error_is_json_at_a_terminal_too(self) -> None:
        task = self.fake.add_task(statuses=["RUNNING"])
        frames = self.shown("wait", task, "--max-wait", "3", "--output", "json", columns=2000)
        (line,) = frames[-1]
        self.assertEqual(json.loads(line)["id"], task)

    def test_an_error_shows_what_the_api_refused(self) -> None:
        issues = [{"path": ["ratio"], "message": "No such ratio"}, {"path": [], "message": "Nor this"}]
        self.fake.fault(Fault("status", status=400, body={"error": "Bad body", "issues": issues}))
        frames = self.shown("request", "POST", "/v1/text_to_image", "--body", "{}")
        self.assertEqual(frames[-1][:3], ["error: Bad body", "  ratio: No such ratio", "  Nor this"])
        self.assertEqual(len(frames[-1]), 4)

    def test_where_lines_cannot_be_drawn_over_there_are_plain_ones(self) -> None:
        task = self.fake.add_task(statuses=["RUNNING", "SUCCEEDED"])
        frames = self.shown("wait", task, env={"TERM": "dumb"})
        self.assertNotIn(b"\x1b", self.raw)
        self.assertEqual(frames[-1], [f"{task} RUNNING 50% 0 s 5 credits"])

    def test_quiet_draws_nothing(self) -> None:
        task = self.fake.add_task(statuses=["RUNNING", "SUCCEEDED"])
        self.shown("wait", task, "--quiet")
        self.assertEqual(self.status, 0)
        self.assertEqual(self.raw, b"")

    def test_a_server_cannot_steer_the_terminal(self) -> None:
        self.fake.fault(Fault("status", status=200, body={"id": "x", "status": "\x1b]0;owned\x07\r\n\x9b2J"}))
        self.shown("wait", "x", "--max-wait", "2")
        self.assertNotIn(b"\x1b]0", self.raw)
        self.assertNotIn(b"\x07", self.raw)


if __name__ == "__main__":
    unittest.main()
