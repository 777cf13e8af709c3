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
from runway_cli.commands.display import Live, bar, live, transferred
from runway_cli.settings import readable_size, readable_time
from runway_cli.terminal.console import Console
from runway_cli.terminal.tables import display_width
from tests.fake import Fault, sample
from tests.program import Clock, environment
from tests.served import ServedTest
from tests.streams import Streams, captured

TASK = "17f20503-6c24-4c16-946b-35dbbce2af2f"
REST = ("RUNNING", "[#####-----] 50%", "2 s", "5 credits")
THROTTLED = "THROTTLED: queued until a running generation ends; your tier limits how many run at once"


class Screen:
    """A terminal that wraps lines at its width, and wraps them anew when it is resized, as most do."""

    def __init__(self, columns: int, height: int = 60) -> None:
        self.columns = columns
        self.height = height
        self.lines = [""]  # as written; each may take several rows

    def write(self, text: str) -> list[list[str]]:
        """Shows a text. Returns the screen after each write that ended a line, and at the end."""
        frames = []
        for part in re.split(r"(\r\x1b\[\d+A(?:\x1b\[K\n)+\x1b\[\d+A|\n)", text):
            if part == "\n":
                self.lines.append("")
                frames.append(self.rows())
            elif part.startswith("\r"):
                up, rows = part.count("\n"), [*self.rows(), self.lines[-1]]
                assert part.count(f"\x1b[{up}A") == 2, "as many lines are erased as the cursor goes up"
                assert up < min(len(rows), self.height), "the cursor cannot reach what has left the screen"
                self.lines = [*rows[: -1 - up], ""]
            else:
                self.lines[-1] += part
        return [*frames, self.rows()]

    def rows(self) -> list[str]:
        """The rows above the cursor."""
        return [row for line in self.lines[:-1] for row in self._wrapped(line)]

    def _wrapped(self, line: str) -> list[str]:
        rows, left = [""], self.columns
        for character in line:
            columns = display_width(character)
            if columns > left:  # a wide character is not halved
                rows, left = [*rows, ""], self.columns
            rows[-1] += character
            left -= columns
        return rows


class PseudoTerminal:
    """A terminal of the system; `raw` is what was written to it."""

    def __init__(self, columns: int, lines: int) -> None:
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
        """The frames of stderr while a call runs; stdout is not a terminal."""
        terminal, stdout = PseudoTerminal(columns, lines), io.BytesIO()
        variables = environment({**self.fake.env(), "TERM": "xterm", "NO_COLOR": "1", **(env or {})})
        with (
            mock.patch.dict(os.environ, variables, clear=True),
            mock.patch.multiple(
                sys,
                stdout=io.TextIOWrapper(stdout, encoding="utf-8"),
                stderr=terminal.stream,
                __stdout__=None,
                __stderr__=terminal.stream,
            ),
        ):
            self.status = main(list(argv), self.clock)
        terminal.close()
        self.raw = terminal.raw
        return Screen(columns, lines).write(self.raw.decode().replace("\r\n", "\n"))

    def assert_shown(self, frames: list[list[str]], pattern: str) -> None:
        """Some frame has such a line, and none is left at the end of a call that went well."""
        self.assertTrue(any(re.fullmatch(pattern, line) for frame in frames for line in frame), frames)
        self.assertEqual(self.status, 0)
        self.assertEqual(frames[-1], [])

    def test_one_live_line_a_task(self) -> None:
        task = self.fake.add_task(
            statuses=["PENDING", "RUNNING", "RUNNING", "SUCCEEDED"], progress=[0.1, 0.5], credits=25
        )
        frames = self.shown("wait", task)
        lines = list(dict.fromkeys(line for frame in frames for line in frame))
        self.assertEqual(
            [line for line in lines if re.search(r" (0|4|6|9|14) s", line)],
            [
                f"{task[:8]}  PENDING  0 s  25 credits",
                f"{task[:8]}  PENDING  4 s  25 credits",
                f"{task[:8]}  RUNNING  [#---------] 10%  6 s  25 credits",
                f"{task[:8]}  RUNNING  [#---------] 10%  9 s  25 credits",
                f"{task[:8]}  RUNNING  [#####-----] 50%  14 s  25 credits",
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
            [THROTTLED, f"{ids[0]}: a fault was ordered; polling continues"],
        )
        self.assertIn([THROTTLED, *(f"{name[:8]}  THROTTLED  2 s  5 credits" for name in ids)], frames)

    def test_a_line_names_model_and_prompt_and_is_aligned_with_the_others(self) -> None:
        env = {"RUNWAY_SKILLS_HISTORY": str(self.folder / "history.db")}
        post = ("request", "POST", "/v1/text_to_image", "-f", "model=gen4_image", "-f", "ratio=1280:720", "-f")
        ids = [self.call(*post, f"promptText={text}", env=env).json["id"] for text in ("fox", "an owl " * 9)]
        ids.append(self.fake.add_task(statuses=["THROTTLED", "SUCCEEDED"]))
        frames = self.shown("wait", *ids, env=env)
        told = [frame[-3:] for frame in frames if frame and "THROTTLED " in frame[-1]]
        fox, owl, other = next(lines for lines in told if sum("PENDING" in line for line in lines) == 2)
        self.assertEqual(fox, f"{ids[0][:8]}  gen4_image  fox                             PENDING    1 s  5 credits")
        self.assertEqual(owl.split("  ")[:3], [ids[1][:8], "gen4_image", "an owl an owl an owl an owl a…"])
        self.assertEqual(other.index("THROTTLED"), fox.index("PENDING"))

    def test_more_lines_than_the_terminal_has_are_counted(self) -> None:
        ids = [self.fake.add_task(statuses=["RUNNING", "SUCCEEDED"]) for _ in range(12)]
        frames = self.shown("wait", *ids, lines=8)
        self.assertEqual(self.status, 0)
        self.assertEqual(max(map(len, frames)), 7)
        self.assertEqual(frames[-1], [])
        self.assertIn("… and 6 more", {line for frame in frames for line in frame})

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
        self.assert_shown(frames, rf"cat\.png  \[##########\] {size} of {size}.*")
        url = self.fake.add_output(bytes(5_000_000), name="fox.bin")
        frames = self.shown("download", url, "--to", f"{self.folder}/")
        self.assert_shown(frames, r"fox\.bin  \[##########\] 5\.0 MB of 5\.0 MB.*")

    def test_the_line_of_a_task_shows_its_download_with_rate_and_remaining_time(self) -> None:
        self.clock = Ticking()
        task = self.fake.add_task(statuses=["SUCCEEDED"], outputs=[sample("image").ljust(3_000_000)])
        frames = self.shown("wait", task, "--download", f"{self.folder}/", columns=120)
        transfer = r"\[#+-+\] \S+ MB of 3\.0 MB, \S+ [kM]B/s, \d s left"
        self.assert_shown(frames, rf"{task[:8]}  SUCCEEDED  {transfer}  \d s  5 credits")

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


def shown(kept: Streams, columns: int | None = None) -> list[str]:
    """What stands on the screen at the end."""
    screen = Screen(columns or kept.size[0])
    screen.write(kept.err.text)
    return screen.rows()


class LiveLines(unittest.TestCase):
    def test_names_give_way_to_what_is_told_of_a_task(self) -> None:
        told = "  ".join(REST)
        for columns, names in (
            (87, "17f20503  gen4_image  a red fox in the snow"),
            (76, "17f20503  a red fox in the snow"),
            (60, "17f20503"),
        ):
            with self.subTest(columns), captured(err_is_terminal=True, columns=columns) as kept:
                Live(Console()).show([(TASK[:8], "gen4_image", "a red fox in the snow", *REST)])
            self.assertEqual(shown(kept), [f"{names}  {told}"])
        with captured(err_is_terminal=True, columns=66) as kept:
            Live(Console()).show([("a-fox" * 30, "", "", *REST)])
        self.assertEqual(shown(kept), ["a-fox" * 4 + f"a…  {told}"])

    def test_a_status_is_coloured_and_what_stands_beside_it_is_dim(self) -> None:
        with captured(err_is_terminal=True) as kept, mock.patch.dict(os.environ, {"NO_COLOR": ""}):
            Live(Console()).show([["the whole"], (TASK[:8], "gen4_image", "fox", *REST)])
        dim, yellow = "\x1b[2m{}\x1b[0m", "\x1b[33m{}\x1b[0m"
        cells = [TASK[:8], dim.format("gen4_image"), dim.format("fox"), yellow.format("RUNNING"), *REST[1:]]
        self.assertEqual(kept.err.lines, ["the whole", "  ".join(cells)])


class WhereTheyAreShown(unittest.TestCase):
    def test_only_on_a_terminal_that_can_draw_over_lines(self) -> None:
        with captured(err_is_terminal=True):
            self.assertIsNone(live(Console(quiet=True)))
            with mock.patch("runway_cli.terminal.console.has_ansi", return_value=False):
                self.assertIsNone(live(Console()))


class Words(unittest.TestCase):
    def test_a_bar_stays_within_its_brackets(self) -> None:
        for share, hashes in ((0, 0), (-1, 0), (0.5, 5), (0.999, 9), (1, 10), (7, 10)):
            self.assertEqual(bar(share), "[" + "#" * hashes + "-" * (10 - hashes) + "]")

    def test_a_transfer_has_a_rate_and_a_remaining_time(self) -> None:
        half = "[#####-----] 500.0 kB of 1.0 MB"
        for arguments, words in (
            ((999, None), "999 B"),
            ((500_000, 1_000_000), half),
            ((500_000, 1_000_000, 0.5), half),
            ((500_000, 1_000_000, 2.0), f"{half}, 250.0 kB/s, 2 s left"),
            ((500_000, None, 2.0), "500.0 kB, 250.0 kB/s"),
            ((1_000_000, 1_000_000, 2.0), "[##########] 1.0 MB of 1.0 MB, 500.0 kB/s"),
            ((0, 0, 5.0), "0 B"),
        ):
            with self.subTest(arguments):
                self.assertEqual(transferred(*arguments), words)

    def test_times(self) -> None:
        times = {0.2: "1 s", 59.4: "59 s", 59.6: "1 min 0 s", 200: "3 min 20 s", 3600: "1 h 0 min", 3900: "1 h 5 min"}
        self.assertEqual({seconds: readable_time(seconds) for seconds in times}, times)
