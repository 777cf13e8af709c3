"""--select: parts of a result by path."""

from __future__ import annotations

import json
import unittest
from typing import Any

from runway_cli import jsontext
from runway_cli.errors import UsageError
from runway_cli.terminal.console import Console, explain, parse, selected_lines
from runway_cli.terminal.tables import Column
from tests.streams import captured

TASK: dict[str, Any] = {
    "id": "t1",
    "status": "SUCCEEDED",
    "output": ["https://x.example/a.png?_jwt=1", "https://x.example/b.png?_jwt=2"],
    "cost": {"credits": 5},
    "failure": None,
    "ratio": 1.5,
    "done": True,
    "empty": [],
    "none": {},
    "models": {"veo3.1": {"most": 2}, "veo3": {"most": 1}},
}
LIST: dict[str, Any] = {"data": [{"id": "a", "voice": {"id": "v"}}, {"id": "b", "voice": None}, {"id": "c"}]}
ROWS = {"a": '"v"', "b": "null", "c": "null"}  # their ids and voices
COLUMNS = (Column("Name", "name"), Column("Preview", "preview"))


def lines(path: str, value: Any) -> list[str]:
    return selected_lines(value, parse(path))


class OnePath(unittest.TestCase):
    def test_a_match_is_a_line(self) -> None:
        cases: tuple[tuple[str, Any, list[str]], ...] = (
            ("id", TASK, ["t1"]),
            ("output.0", TASK, [TASK["output"][0]]),
            ("output.*", TASK, TASK["output"]),
            ("output", TASK, [json.dumps(TASK["output"], separators=(",", ":"))]),
            ("cost.credits", TASK, ["5"]),
            ("cost", TASK, ['{"credits":5}']),
            ("failure", TASK, ["null"]),
            ("ratio", TASK, ["1.5"]),
            ("done", TASK, ["true"]),
            ("empty", TASK, ["[]"]),
            ("data.*.id", LIST, ["a", "b", "c"]),
            ("data.*.voice.id", LIST, ["v"]),
            ("data.1.id", LIST, ["b"]),
            ("*.0.id", LIST, ["a"]),
            ("1", ["x", "y"], ["y"]),
            ("*", {"a": 1, "b": [2]}, ["1", "[2]"]),
            ("output.*.*", {"output": {"node": ["u", "v"]}}, ["u", "v"]),
            ("0", {"0": "a key"}, ["a key"]),
            ("id", {"id": ""}, [""]),
            (" id ", TASK, ["t1"]),
            ("a", jsontext.loads('{"a":1.10}'), ["1.10"]),
            ("models.veo3.1.most", TASK, ["2"]),  # a key with a dot
            ("a.b", {"a.b": 1, "a": {"b": 2}}, ["2"]),  # a key by itself counts before one with a dot,
            ("a.b", {"a": 5, "a.b": 1}, ["1"]),  # and one that leads nowhere does not hide it
            ("é".encode().decode("ascii", "surrogateescape"), {"é": "x"}, ["x"]),  # from an ASCII locale
        )
        for path, value, shown in cases:
            with self.subTest(path):
                self.assertEqual(lines(path, value), shown)

    def test_what_matches_nothing_is_null(self) -> None:
        for path in ("nope", "cost.nope", "output.2", "output.x", "output.-1", "id.x", "failure.x", "empty.*"):
            self.assertEqual(lines(path, TASK), ["null"], path)

    def test_a_string_with_line_breaks_stays_one_line(self) -> None:
        for text in ("a\nb", "a\r", "\x1b[2J", "a\u2028b", "tab\t", "\x9b"):
            with self.subTest(text):
                found = lines("a", {"a": text})
                self.assertEqual(json.loads(found[0]), text)
                self.assertEqual(len("".join(found).splitlines()), 1)

    def test_quotes_and_backslashes_are_raw(self) -> None:
        for text in ('say "hi"', "C:\\x", "狐 \u00a0 é", '"', "\\"):
            with self.subTest(text):
                self.assertEqual(lines("a", {"a": text}), [text])


class SeveralPaths(unittest.TestCase):
    def test_they_are_one_object_with_the_paths_as_keys(self) -> None:
        for paths, value, shown in (
            ("id,cost.credits", TASK, '{"id":"t1","cost.credits":5}'),
            ("data.*.id, data.0.id", LIST, '{"data.*.id":["a","b","c"],"data.0.id":"a"}'),
            ("id,nope,empty.*", TASK, '{"id":"t1","nope":null,"empty.*":null}'),
        ):
            with self.subTest(paths):
                self.assertEqual(lines(paths, value), [shown])


class Mistakes(unittest.TestCase):
    def test_a_path_that_cannot_be_used_is_refused_with_words(self) -> None:
        for text in ("", " ", "id,", ",", "a,,b", ".id", "a..b", "id."):
            with self.subTest(text), self.assertRaisesRegex(ValueError, "must be a path such as id"):
                parse(text)
        for text in ("output[0]", ".data[]"):
            with self.subTest(text), self.assertRaisesRegex(ValueError, "write output.0 for the first"):
                parse(text)

    def test_a_note_says_what_is_there(self) -> None:
        for path, words in (
            ("nope", "the keys are id, status, output, cost, "),
            ("cost.nope", "the keys of cost are credits"),
            ("output.5", "output is a list of 2: use a number from 0, or *"),
            ("output.0.x", "output.0 is a string"),
            ("failure.x", "failure is null"),
            ("empty.*", "empty is empty"),
            ("none.a", "none is empty"),
            ("ratio.x", "ratio is a number"),
            ("done.x", "done is true or false"),
        ):
            with self.subTest(path):
                self.assertIn(f"--select {path} matches nothing: {words}", explain(TASK, path))


class Printed(unittest.TestCase):
    def console(self, select: str, format: str | None = None, *, quiet: bool = False) -> Console:
        return Console(format=format, select=parse(select), quiet=quiet)

    def test_what_was_left_out_of_the_result_is_found(self) -> None:
        shown = {"id": "t1", "saved": ["a.png"]}
        with captured() as streams:
            for format in ("json", "jsonl"):
                self.console("output.1", format).row(shown, alone=True, full={**TASK, **shown})
            console = self.console("output.1", "table")
            console.row(shown, alone=True, full={**TASK, **shown})
            console.end_rows([Column("Id", "id")])
        url = "https://x.example/b.png?_jwt=2"
        self.assertEqual(streams.out.lines, [url, url, "output.1", url])

    def test_of_rows_each_is_a_line_or_a_row_of_a_table(self) -> None:
        for select, format, out in (
            ("voice.id", "json", ["v", "null", "null"]),  # what some rows lack is not explained
            ("id,voice.id", "jsonl", [f'{{"id":"{row}","voice.id":{voice}}}' for row, voice in ROWS.items()]),
            ("voice.id,id", "table", ["voice.id  id", "v         a", "          b", "          c"]),
            ("voice.id,id", "markdown", ["| voice.id | id |", "| --- | --- |", "| v | a |", "|  | b |", "|  | c |"]),
        ):
            with self.subTest(select, format=format), captured() as streams:
                self.console(select, format).rows(LIST["data"], COLUMNS, is_cut=True)
                self.assertEqual(streams.out.lines, out)
                self.assertEqual(streams.err.lines, ["more rows exist: raise --limit"])

    def test_a_path_that_no_row_has_is_explained_once_to_the_quiet_too_and_is_an_error_for_a_list(self) -> None:
        words = "--select nam matches nothing: the keys are id, voice"
        for quiet in (False, True):
            for format in ("json", "jsonl", "table", "markdown"):
                with self.subTest(format, quiet=quiet), captured() as streams:
                    console = self.console("nam", format, quiet=quiet)
                    with self.assertRaises(UsageError) as caught:
                        console.rows(LIST["data"], COLUMNS)
                    self.assertEqual((caught.exception.message, streams.err.text), (words, ""))
                    for row in LIST["data"]:
                        console.row(row, alone=False)
                    console.end_rows(COLUMNS)
                    self.assertEqual(streams.err.lines, [words])
        with captured(), self.assertRaisesRegex(UsageError, "where rows are printed, a path begins at a row"):
            self.console("data.*.id").rows(LIST["data"], COLUMNS)

    def test_what_a_later_row_has_is_not_explained(self) -> None:
        with captured() as streams:
            console = self.console("voice.id")
            for row in reversed(LIST["data"]):
                console.row(row, alone=False)
            console.end_rows(COLUMNS)
        self.assertEqual((streams.out.lines, streams.err.text), (["null", "null", "v"], ""))

    def test_no_rows_are_no_lines(self) -> None:
        with captured() as streams:
            self.console("id").rows([], COLUMNS)
        self.assertEqual((streams.out.text, streams.err.text), ("", ""))
