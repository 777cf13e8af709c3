"""What the console prints in each format, for a program and for a person, and streams that are closed, full or slow."""

from __future__ import annotations

import ctypes
import errno
import io
import json
import os
import sys
import unittest
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

from runway_cli import jsontext
from runway_cli.commands.display import live
from runway_cli.errors import ClosedOutput, OutputError
from runway_cli.terminal import console as streams
from runway_cli.terminal.console import MAX_NOTE, Console, parse
from runway_cli.terminal.tables import Column
from tests.streams import captured

NAMES = [Column("Name", "name"), Column("Preview", "preview", link="listen", rank=1)]
ROWS: list[dict[str, Any]] = [
    {"id": "a", "name": "Fox", "preview": "https://x.example/a"},
    {"id": "b", "name": None, "preview": None},
]


class Documents(unittest.TestCase):
    def test_the_only_row_is_a_document_and_several_are_a_line_each(self) -> None:
        for alone, shown in ((True, '{\n  "a": 1\n}\n'), (False, '{"a":1}\n')):
            with self.subTest(alone=alone), captured(out_is_terminal=True) as kept:
                Console().row({"a": 1}, alone=alone)
                self.assertEqual(kept.out.text, shown)


class Lists(unittest.TestCase):
    def printed(self, format: str | None, *, is_cut: bool = False, **options: Any) -> tuple[str, str]:
        with captured(**options) as kept:
            Console(format=format).rows(ROWS, NAMES, is_cut=is_cut)
        return kept.out.text, kept.err.text

    def test_json_has_what_stands_beside_the_rows(self) -> None:
        out, err = self.printed(None, is_cut=True)
        self.assertEqual(json.loads(out), {"data": ROWS, "truncated": True})
        self.assertEqual(err, "")

    def test_in_other_formats_a_note_says_that_there_are_more(self) -> None:
        for format, options, expected, note in (
            ("jsonl", {}, "".join(jsontext.dumps(row) + "\n" for row in ROWS), ""),
            ("table", {}, "Id  Name  Preview\na   Fox   https://x.example/a\nb\n", ""),
            (
                "table",
                {"out_is_terminal": True, "columns": 22},
                "Id  Name\na   Fox\nb\n",
                "columns left out to fit the window: Preview\n",
            ),
            (
                "markdown",
                {},
                "| Name | Preview |\n| --- | --- |\n| Fox | [listen](https://x.example/a) |\n|  |  |\n",
                "",
            ),
        ):
            with self.subTest(format, options=options):
                out, err = self.printed(format, is_cut=True, **options)
                self.assertEqual(out, expected)
                self.assertEqual(err, f"{note}more rows exist: raise --limit\n")

    def test_rows_that_come_one_by_one_are_a_table_at_the_end(self) -> None:
        with captured() as kept:
            console = Console(format="table")
            for row in ROWS:
                console.row(row, alone=False)
            self.assertEqual(kept.out.text, "")
            console.end_rows(NAMES)
            console.end_rows(NAMES)
        self.assertEqual(len(kept.out.lines), 3)


class Notes(unittest.TestCase):
    def test_the_quiet_hear_only_what_was_paid_for(self) -> None:
        with captured() as kept:
            console = Console(quiet=True)
            console.note("by the way")
            console.tell("started t1")
        self.assertEqual(kept.err.text, "started t1\n")

    def test_a_server_cannot_steer_the_terminal(self) -> None:
        with captured() as kept:
            Console().note("\x1b[2J \x9b31m a\u202eb \x07\r\n gone\u2028now\u00a0\u3000狐 👩\u200d🚀")
        self.assertEqual(kept.err.text, "\ufffd[2J \ufffd31m a\ufffdb \ufffd   gone now  狐 👩\u200d🚀\n")

    def test_a_long_note_is_cut_and_what_must_not_be_lost_is_not(self) -> None:
        for write, shown in ((Console.note, "x" * (MAX_NOTE - 1) + "…\n"), (Console.tell, "x" * 5000 + "\n")):
            with captured() as kept:
                write(Console(), "x" * 5000)
            self.assertEqual(kept.err.text, shown)


class Errors(unittest.TestCase):
    def shown(self, document: dict[str, Any]) -> list[str]:
        with captured(err_is_terminal=True) as kept:
            Console().error({**document, "example": "runway-cli --help"})
        return kept.err.lines

    def test_the_word_error_is_red_where_colours_are_wanted(self) -> None:
        lines = {
            "": ["\x1b[31merror: \x1b[0mbad", "\x1b[2m  try: \x1b[0mx"],
            "1": ["error: bad", "  try: x"],
        }
        for wish, shown in lines.items():
            with captured(err_is_terminal=True) as kept, mock.patch.dict(os.environ, {"NO_COLOR": wish}):
                Console().error({"error": "bad", "example": "x"})
            self.assertEqual(kept.err.lines, shown)
        with captured() as kept, mock.patch.dict(os.environ, {"NO_COLOR": ""}):
            Console(format="table").rows([{"id": "a", "status": "READY"}], [Column("S", "status")])
        self.assertNotIn("\x1b", kept.out.text)

    def test_what_a_failure_carries_is_told_in_words(self) -> None:
        for document, lines in (
            ({"error": "two\nlines"}, ["error: two lines"]),
            ({"error": "reset", "maybeAccepted": True}, ["error: reset (the request may have been accepted)"]),
            ({"error": "1 failed", "failed": [{"id": "t1", "error": "bad"}]}, ["error: 1 failed", "  t1: bad"]),
            ({"error": "bad", "issues": [{"field": "a", "messages": ["b", "c"]}]}, ["error: bad", "  a: b; c"]),
            ({"error": "bad", "issues": [{"field": "", "messages": ["b"]}]}, ["error: bad", "  b"]),
            ({"error": "line 2: bad", "issues": [{"field": "line 2", "messages": ["bad"]}]}, ["error: line 2: bad"]),
        ):
            with self.subTest(document):
                self.assertEqual(self.shown(document), [*lines, "  try: runway-cli --help"])

    def test_a_message_of_an_issue_has_a_thousand_characters_at_most(self) -> None:
        issue = {"field": "line 1", "messages": ["x" * 5000]}
        self.assertEqual(self.shown({"error": "bad", "issues": [issue]})[1], "  line 1: " + "x" * 1000)

    def test_the_error_is_the_last_word(self) -> None:
        with captured() as kept:
            console = Console()
            console.error({"error": "bad", "example": "x"})
            console.note("another thread goes on")
            console.tell("so does this one")
        self.assertEqual(len(kept.err.lines), 1)

    def test_an_example_can_be_pasted_and_cannot_steer_a_terminal(self) -> None:
        with captured(err_is_terminal=True) as kept:
            Console().error({"error": "bad", "example": "x 'a\nb\tc\u00a0d\u00ade\x1b[2J\u202e'"})
        self.assertEqual(kept.err.text, "error: bad\n  try: x 'a\nb\tc\u00a0d\u00ade\ufffd[2J\ufffd'\n")

    def test_live_lines_make_room_for_an_error_and_a_result(self) -> None:
        cases: tuple[tuple[Callable[[Console], None], str], ...] = (
            (lambda console: console.error({"error": "bad", "example": "x"}), "error: bad\n  try: x\n"),
            (lambda console: console.result({}), ""),
        )
        for act, after in cases:
            with captured(err_is_terminal=True) as kept:
                console = Console()
                lines = live(console)
                assert lines is not None
                lines.show([["t1 RUNNING"]])
                act(console)
            self.assertEqual(kept.err.text, f"t1 RUNNING\n\r\x1b[1A\x1b[K\n\x1b[1A{after}")


class BrokenStreams(unittest.TestCase):
    def stdout(self, error: OSError) -> Any:
        """Makes stdout a stream that cannot be written."""
        stream = mock.Mock()
        stream.buffer.raw.write.side_effect = error
        return mock.patch.object(sys, "stdout", stream)

    def test_windows_reports_a_reader_that_has_gone_as_an_invalid_argument(self) -> None:
        invalid = OSError(errno.EINVAL, "Invalid argument")
        for system, ending in (("nt", ClosedOutput), ("posix", OutputError)):
            with self.subTest(system), self.stdout(invalid), mock.patch.object(os, "name", system):
                self.assertRaises(ending, Console().write, "x")

    def test_a_closed_stdout_ends_it_quietly(self) -> None:
        closed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        closed.close()
        for stream in (None, closed):
            with self.subTest(stream), mock.patch.object(sys, "stdout", stream), self.assertRaises(ClosedOutput):
                Console().result({})

    def test_a_full_disk_is_reported_with_the_id_of_what_was_paid_for(self) -> None:
        for select in (None, parse("id")):
            console = Console(select=select)
            for act in (console.result, partial(console.row, alone=False)):
                full = self.stdout(OSError(errno.ENOSPC, "No space left on device"))
                with self.subTest(select=select), full, self.assertRaises(OutputError) as caught:
                    act({"id": "t1"})
                self.assertEqual(caught.exception.fact("task_id"), "t1")
                self.assertEqual(caught.exception.message, "stdout could not be written: No space left on device")


class WindowsConsole(unittest.TestCase):
    def test_escape_sequences_are_switched_on_where_the_console_has_them(self) -> None:
        for is_able in (True, False):  # an older console, or a file, is not
            kernel = mock.Mock(SetConsoleMode=mock.Mock(return_value=int(is_able)))
            kernel.GetStdHandle.return_value = 7
            windows = mock.patch.object(ctypes, "windll", mock.Mock(kernel32=kernel), create=True)
            with windows, mock.patch("os.name", "nt"):
                self.assertIs(streams.has_ansi(mock.Mock()), is_able)
            kernel.GetStdHandle.assert_called_once_with(-12)
