"""stdout and stderr: every value as it came, no secret, and a proper end if nobody reads."""

from __future__ import annotations

import json
import unittest
from typing import Any

from runway_cli import jsontext
from runway_cli.terminal.console import MAX_NOTE, Console, parse
from runway_cli.terminal.progress import live
from runway_cli.terminal.tables import Column
from tests.streams import captured
from tests.test_masking import BASE, SIGNED

KEY = "key_" + "0123456789abcdef" * 8
NAMES = [Column("Name", "name"), Column("Preview", "preview", link="listen")]
ROWS: list[dict[str, Any]] = [
    {"id": "a", "name": "Fox", "preview": "https://x.example/a"},
    {"id": "b", "name": None, "preview": None},
]
FAITHFUL = (
    '{"z":1,"a":{"y":2,"b":3}}',
    "1e400",
    "-0",
    "1.10",
    "100e-2",
    '"狐🦊"',
    '{"a":1e400,"b":"1e400"}',
    "{}",
    "[]",
)


class Documents(unittest.TestCase):
    def test_a_document_is_one_line_for_a_program(self) -> None:
        for text in (*FAITHFUL, "[" * 400 + "]" * 400):
            with self.subTest(text[:30]), captured() as kept:
                Console().result(jsontext.loads(text))
                self.assertEqual(kept.out.text, text + "\n")

    def test_a_document_is_indented_at_a_terminal(self) -> None:
        with captured(out_is_terminal=True) as kept:
            Console().result({"a": [jsontext.loads("1e400")], "b": {}})
        self.assertEqual(kept.out.text, '{\n  "a": [\n    1e400\n  ],\n  "b": {}\n}\n')

    def test_an_indented_document_is_the_same_document(self) -> None:
        for text in FAITHFUL:
            self.assertEqual(jsontext.dumps(jsontext.loads(jsontext.dumps(jsontext.loads(text), 2))), text)

    def test_the_only_row_is_a_document(self) -> None:
        with captured(out_is_terminal=True) as kept:
            Console().row({"a": 1}, alone=True)
        self.assertEqual(kept.out.text, '{\n  "a": 1\n}\n')

    def test_several_rows_are_a_line_each(self) -> None:
        with captured(out_is_terminal=True) as kept:
            for _ in range(2):
                Console().row({"a": 1}, alone=False)
        self.assertEqual(kept.out.text, '{"a":1}\n{"a":1}\n')

    def test_a_format_that_the_command_should_have_refused_is_not_ignored(self) -> None:
        with captured() as kept:
            Console(format="table").result({"id": "paid"})
        self.assertEqual(kept.out.text, '{"id":"paid"}\n')
        self.assertEqual(kept.err.text, "--output table does not apply here: this is JSON\n")

    def test_a_command_knows_that_the_format_needs_rows(self) -> None:
        for format, needs_rows in (
            (None, False),
            ("json", False),
            ("jsonl", True),
            ("table", True),
            ("markdown", True),
        ):
            with self.subTest(format):
                self.assertEqual(Console(format=format).needs_rows, needs_rows)

    def test_options_are_set_once_they_are_known(self) -> None:
        console = Console()
        console.configure(format="jsonl", select=parse("id"), quiet=True, verbose=True)
        with captured() as kept:
            console.note("unheard")
            console.trace(">", ["GET /"])
            console.rows(ROWS, NAMES, {})
        self.assertEqual(kept.out.text, "a\nb\n")
        self.assertEqual(kept.err.text, "> GET /\n")


class Lists(unittest.TestCase):
    def printed(self, format: str | None, more: dict[str, Any] | None = None, **options: Any) -> tuple[str, str]:
        with captured(**options) as kept:
            Console(format=format).rows(ROWS, NAMES, more or {})
        return kept.out.text, kept.err.text

    def test_json_has_what_stands_beside_the_rows(self) -> None:
        out, err = self.printed(None, {"truncated": True})
        self.assertEqual(json.loads(out), {"data": ROWS, "truncated": True})
        self.assertEqual(err, "")

    def test_json_lines_are_the_rows(self) -> None:
        out, err = self.printed("jsonl", {"truncated": True})
        self.assertEqual([json.loads(line) for line in out.splitlines()], ROWS)
        self.assertEqual(err, "there are more: raise --limit\n")

    def test_a_table_shows_ids(self) -> None:
        out, _ = self.printed("table")
        self.assertEqual(out, "Id  Name  Preview\na   Fox   https://x.example/a\nb\n")

    def test_markdown_has_the_documented_columns_and_links(self) -> None:
        out, _ = self.printed("markdown")
        expected = "| Name | Preview |\n| --- | --- |\n| Fox | [listen](https://x.example/a) |\n|  |  |\n"
        self.assertEqual(out, expected)

    def test_a_table_fits_a_terminal(self) -> None:
        out, _ = self.printed("table", out_is_terminal=True, columns=22)
        self.assertEqual(out.splitlines()[1], "a   Fox   https://x.e…")

    def test_rows_that_come_one_by_one_are_a_table_at_the_end(self) -> None:
        with captured() as kept:
            console = Console(format="table")
            for row in ROWS:
                console.row(row, alone=False)
            self.assertEqual(kept.out.text, "")
            console.end_rows(NAMES)
            console.end_rows(NAMES)
        self.assertEqual(len(kept.out.lines), 3)


class Traces(unittest.TestCase):
    def trace(self, *arguments: Any, verbose: bool = True, **options: Any) -> list[str]:
        with captured() as kept:
            Console(verbose=verbose, quiet=True).trace(*arguments, **options)
        return kept.err.lines

    def test_a_request_is_shown_with_its_own_query(self) -> None:
        lines = self.trace(">", [f"GET {BASE}/v1/x?limit=5", f"Link: {SIGNED}"], b'{"a": 1}', own=BASE)
        self.assertEqual(
            lines, [f"> GET {BASE}/v1/x?limit=5", "> Link: https://storage.example/a/b.png?***", '> {"a":1}']
        )

    def test_two_kilobytes_of_a_body_are_shown(self) -> None:
        lines = self.trace("<", ["200"], json.dumps({"a": "é" * 5000}).encode())
        self.assertEqual(lines[1:], ['< {"a":"' + "é" * (2048 - 6), f"< … {5008 - 2048} characters more"])

    def test_nothing_is_shown_without_verbose(self) -> None:
        self.assertEqual(self.trace(">", ["GET /"], b"{}", verbose=False), [])


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

    def test_a_long_note_is_cut(self) -> None:
        with captured() as kept:
            Console().note("x" * 5000)
        self.assertEqual(kept.err.text, "x" * (MAX_NOTE - 1) + "…\n")

    def test_what_must_not_be_lost_is_not_cut(self) -> None:
        with captured() as kept:
            Console().tell("x" * 5000)
        self.assertEqual(kept.err.text, "x" * 5000 + "\n")


class Errors(unittest.TestCase):
    DOCUMENT: dict[str, Any] = {  # noqa: RUF012
        "error": "Validation failed",
        "kind": "api",
        "status": 400,
        "issues": [
            {"field": "promptText", "messages": ["must be a string", "is required"]},
            {"field": "", "messages": ["unknown"]},
        ],
        "example": "runway-cli reference POST /v1/text_to_image",
    }

    def shown(self, document: dict[str, Any], format: str | None = None, terminal: bool = True) -> list[str]:
        with captured(err_is_terminal=terminal) as kept:
            Console(format=format).error(document)
        return kept.err.lines

    def test_a_program_is_given_one_line_of_json(self) -> None:
        for format, terminal in ((None, False), ("json", False), ("table", False), ("json", True)):
            with self.subTest(format=format, terminal=terminal):
                lines = self.shown(self.DOCUMENT, format=format, terminal=terminal)
                self.assertEqual(lines, [jsontext.dumps(self.DOCUMENT)])

    def test_a_person_is_given_plain_text(self) -> None:
        for format in (None, "table", "jsonl", "markdown"):
            with self.subTest(format):
                self.assertEqual(
                    self.shown(self.DOCUMENT, format=format),
                    [
                        "error: Validation failed",
                        "  promptText: must be a string; is required",
                        "  unknown",
                        "  try: runway-cli reference POST /v1/text_to_image",
                    ],
                )

    def test_a_failure_without_issues_is_two_lines(self) -> None:
        document = {"error": "two\nlines", "example": "runway-cli --help"}
        self.assertEqual(self.shown(document), ["error: two lines", "  try: runway-cli --help"])

    def test_a_person_is_told_that_a_request_may_have_been_accepted(self) -> None:
        document = {"error": "the connection was reset", "maybeAccepted": True, "example": "x"}
        self.assertEqual(
            self.shown(document)[0], "error: the connection was reset (the request may have been accepted)"
        )

    def test_of_several_failures_each_is_a_line(self) -> None:
        document = {"error": "1 of 2 failed", "failed": [{"id": "t1", "kind": "task", "error": "bad"}], "example": "x"}
        self.assertEqual(self.shown(document), ["error: 1 of 2 failed", "  t1: bad", "  try: x"])

    def test_a_message_has_four_thousand_characters_at_most(self) -> None:
        lines = self.shown({"error": "x" * 5000, "example": "x"}, terminal=False)
        self.assertEqual(json.loads(lines[0])["error"], "x" * 4000)

    def test_a_message_of_an_issue_has_a_thousand_characters_at_most(self) -> None:
        issue = {"field": "line 1", "messages": ["x" * 5000]}
        lines = self.shown({"error": "bad", "issues": [issue], "example": "x"}, terminal=False)
        self.assertEqual(json.loads(lines[0])["issues"], [{**issue, "messages": ["x" * 1000]}])

    def test_the_error_is_the_last_word(self) -> None:
        with captured() as kept:
            console = Console()
            console.error({"error": "bad", "example": "x"})
            console.note("another thread goes on")
            console.tell("so does this one")
        self.assertEqual(len(kept.err.lines), 1)

    def test_live_lines_make_room_for_an_error(self) -> None:
        with captured(err_is_terminal=True) as kept:
            console = Console()
            lines = live(console)
            assert lines is not None
            lines.show(["t1 RUNNING"])
            console.error({"error": "bad", "example": "x"})
        self.assertEqual(kept.err.text, "t1 RUNNING\n\r\x1b[1A\x1b[Jerror: bad\n  try: x\n")

    def test_live_lines_make_room_for_a_result(self) -> None:
        with captured(err_is_terminal=True) as kept:
            console = Console()
            lines = live(console)
            assert lines is not None
            lines.show(["t1 RUNNING"])
            console.result({})
        self.assertTrue(kept.err.text.endswith("\x1b[1A\x1b[J"))


if __name__ == "__main__":
    unittest.main()
