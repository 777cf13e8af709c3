"""The live lines at the bottom of a terminal, as a terminal shows them."""

from __future__ import annotations

import os
import re
import unittest
from unittest import mock

from runway_cli.terminal import console as streams
from runway_cli.terminal.console import Console
from runway_cli.terminal.progress import Live, bar, live, readable_time, screen_lines, transferred
from runway_cli.terminal.tables import columns_taken, display_width, fitted
from tests.streams import Streams, captured

TASK = "17f20503-6c24-4c16-946b-35dbbce2af2f"
REST = "RUNNING [#####-----] 50% 2 s 5 credits"


class Screen:
    """A terminal that wraps lines at its width, and wraps them anew when it is resized, as most do."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines = [""]  # as written; each may take several rows

    def resize(self, columns: int) -> None:
        self.columns = columns

    def write(self, text: str) -> None:
        for part in re.split(r"(\r\x1b\[\d+A\x1b\[J|\n)", text):
            if part == "\n":
                self.lines.append("")
            elif part.startswith("\r"):
                self._erase(int(part[3:-4]))
            else:
                self.lines[-1] += part

    def rows(self) -> list[str]:
        return [row for line in self.lines for row in self._wrapped(line)]

    def _erase(self, count: int) -> None:
        rows = self.rows()
        assert count < len(rows), "the cursor leaves the screen"
        self.lines = [*rows[: -1 - count], ""]

    def _wrapped(self, line: str) -> list[str]:
        rows, width = [""], 0
        for character in line:
            columns = columns_taken(character)
            if width + columns > self.columns:
                rows.append("")
                width = 0
            rows[-1] += character
            width += columns
        return rows


def shown(kept: Streams, columns: int | None = None) -> list[str]:
    """What stands on the screen at the end."""
    screen = Screen(columns or kept.size[0])
    screen.write(kept.err.text)
    return screen.rows()[:-1]


class LiveLines(unittest.TestCase):
    def test_lines_are_drawn_in_place_of_the_ones_before(self) -> None:
        with captured(err_is_terminal=True) as kept:
            lines = Live(str)
            lines.show(["a", "b"])
            lines.show(["c"])
        self.assertEqual(shown(kept), ["c"])

    def test_notes_stand_above_the_lines_and_stay(self) -> None:
        with captured(err_is_terminal=True) as kept:
            console = Console()
            lines = live(console)
            assert lines is not None
            lines.show(["t1 RUNNING"])
            console.note("a note")
            self.assertEqual(shown(kept), ["a note", "t1 RUNNING"])
            lines.close()
        self.assertEqual(shown(kept), ["a note"])

    def test_more_lines_than_the_terminal_has_are_counted(self) -> None:
        with captured(err_is_terminal=True, lines=8) as kept:
            Live(str).show([f"task {number}" for number in range(12)])
        self.assertEqual(shown(kept), [*(f"task {number}" for number in range(6)), "… and 6 more"])

    def test_lines_that_just_fit_are_all_shown(self) -> None:
        with captured(err_is_terminal=True, lines=8) as kept:
            Live(str).show([f"task {number}" for number in range(7)])
        self.assertEqual(len(shown(kept)), 7)

    def test_long_lines_are_cut_to_the_width(self) -> None:
        for line in ("x" * 100, "狐" * 60, "👩‍🚀" * 60, "é" * 100):
            with self.subTest(line[:3]), captured(err_is_terminal=True, columns=40) as kept:
                Live(str).show([line])
                self.assertEqual(len(shown(kept)), 1)
                self.assertLessEqual(display_width(shown(kept)[0]), 39)

    def test_in_a_narrow_terminal_a_name_is_cut_and_what_is_said_about_it_is_not(self) -> None:
        with captured(err_is_terminal=True, columns=60) as kept:
            Live(str).show([(TASK, REST)])
        room = 59 - len(REST) - 1
        self.assertEqual(shown(kept), [f"{TASK[: room - 1]}… {REST}"])

    def test_in_a_very_narrow_terminal_the_beginning_of_a_name_is_kept(self) -> None:
        with captured(err_is_terminal=True, columns=20) as kept:
            Live(str).show([(TASK, REST)])
        self.assertEqual(shown(kept), ["17f2050… RUNNING […"])

    def test_a_name_that_fits_is_whole(self) -> None:
        with captured(err_is_terminal=True) as kept:
            Live(str).show([(TASK, REST)])
        self.assertEqual(shown(kept), [f"{TASK} {REST}"])

    def test_a_line_is_masked_before_it_is_cut(self) -> None:
        key = "key_" + "ab" * 60
        for columns in range(9, 100):
            with self.subTest(columns), captured(err_is_terminal=True, columns=columns) as kept:
                console = Console()
                console.keep_secret(key)
                lines = live(console)
                assert lines is not None
                lines.show([f"x {key}", (key, REST), ("cat.png", key)])
                self.assertNotIn("key_", kept.err.text)
                self.assertNotIn("abab", kept.err.text)

    def test_a_resized_window_leaves_no_stale_line(self) -> None:
        for before in (40, 80, 100):
            for after in (10, 39, 40, 41, 79, 80, 120):
                with self.subTest(before=before, after=after), captured(err_is_terminal=True, columns=before) as kept:
                    screen = Screen(before)
                    lines = Live(str)
                    lines.above("a note\n")
                    lines.show(["狐" * 60, "x" * 200, "short"])
                    drawn = kept.err.text
                    screen.write(drawn)
                    screen.resize(after)
                    kept.size = (after, 60)
                    lines.show(["new"])
                    screen.write(kept.err.text[len(drawn) :])
                    self.assertEqual(screen.rows(), ["a note", "new", ""])

    def test_a_wide_character_is_not_halved_by_a_narrower_window(self) -> None:
        for line, width, count in (("", 5, 1), ("abcde", 5, 1), ("abcdef", 5, 2), ("狐狐狐", 5, 2), ("狐狐狐", 3, 3)):
            with self.subTest(line, width=width):
                self.assertEqual(screen_lines(line, width), count)

    def test_a_server_cannot_steer_the_terminal(self) -> None:
        with captured(err_is_terminal=True) as kept:
            lines = live(Console())
            assert lines is not None
            lines.show([("\x1b]0;owned\x07", "\r\n\x9b2J")])
        self.assertEqual(kept.err.text, "\ufffd]0;owned\ufffd   \ufffd2J\n")

    def test_closing_twice_erases_once(self) -> None:
        with captured(err_is_terminal=True) as kept:
            lines = Live(str)
            lines.show(["a"])
            lines.close()
            lines.close()
        self.assertEqual(kept.err.text.count("\x1b[J"), 1)


class WhereTheyAreShown(unittest.TestCase):
    def test_a_console_has_one_set_of_lines(self) -> None:
        with captured(err_is_terminal=True):
            console = Console()
            self.assertIs(live(console), live(console))

    def test_only_on_a_terminal_that_can_draw_over_lines(self) -> None:
        with captured(err_is_terminal=False):
            self.assertIsNone(live(Console()))
        with captured(err_is_terminal=True):
            self.assertIsNone(live(Console(quiet=True)))
            with mock.patch.dict(os.environ, {"TERM": "dumb"}):
                self.assertIsNone(live(Console()))
            with mock.patch.object(streams, "enable_ansi", return_value=False):
                self.assertIsNone(live(Console()))

    def test_without_them_notes_are_plain_lines(self) -> None:
        with captured(err_is_terminal=True) as kept, mock.patch.dict(os.environ, {"TERM": "dumb"}):
            console = Console()
            live(console)
            console.note("a note")
        self.assertEqual(kept.err.text, "a note\n")


class Words(unittest.TestCase):
    def test_a_line_is_cut_to_columns_and_not_to_characters(self) -> None:
        for line, width, cut in (
            ("abcdef", 4, "abc…"),
            ("abcd", 4, "abcd"),
            ("狐狐", 4, "狐狐"),
            ("狐狐狐", 5, "狐狐…"),
            ("狐狐狐", 4, "狐… "),
            ("a狐b狐", 6, "a狐b狐"),
            ("e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"),
        ):
            with self.subTest(line, width=width):
                self.assertEqual(fitted(line, width), cut)

    def test_a_bar_stays_within_its_brackets(self) -> None:
        for share, hashes in ((0, 0), (-1, 0), (0.5, 5), (0.999, 9), (1, 10), (7, 10)):
            with self.subTest(share):
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
            ((1, 10**12, 1.0), "[----------] 1 B of 1000.0 GB, 1 B/s"),
            ((0, 0, 5.0), "0 B"),
        ):
            with self.subTest(arguments):
                self.assertEqual(transferred(*arguments), words)

    def test_times(self) -> None:
        for seconds, words in (
            (0.2, "1 s"),
            (59.4, "59 s"),
            (59.6, "1 min 0 s"),
            (200, "3 min 20 s"),
            (3600, "1 h 0 min"),
            (3900, "1 h 5 min"),
        ):
            with self.subTest(seconds):
                self.assertEqual(readable_time(seconds), words)


if __name__ == "__main__":
    unittest.main()
