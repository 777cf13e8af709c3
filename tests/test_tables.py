"""Tables: nothing in a cell breaks a row, steers a terminal or leaves its column."""

from __future__ import annotations

import random
import re
import time
import unittest
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from runway_cli import jsontext
from runway_cli.commands.history import COLUMNS
from runway_cli.commands.lists import AVATAR_COLUMNS
from runway_cli.commands.reference import ENDPOINT_COLUMNS, FIELD_COLUMNS
from runway_cli.terminal import tables
from runway_cli.terminal.tables import MIN_TEXT, Column, columns_of, display_width, markdown, rows_of, wrapped


def columns(**keys: str) -> list[Column]:
    """Columns from headings and keys."""
    return [Column(heading, key) for heading, key in keys.items()]


NAMES = columns(Name="name")


def table(rows: list[dict[str, Any]], columns: list[Column], width: int | None) -> str:
    """The text alone of a table without colours."""
    return tables.table(rows, columns, width)[0]


# a character, with the marks that belong to it, and the columns that a terminal gives it
PIECES = {
    **dict.fromkeys(["a", "Z", "7", " ", "é", "e\u0301", "ж", "ש", "\u0915\u094d", "ｱ", "❤", "…", "\ufffd"], 1),
    **dict.fromkeys(["狐", "한", "\uff21", "🦊", "🇫🇷", "❤️", "1️⃣"], 2),
}
_PIECE = re.compile("|".join(map(re.escape, sorted(PIECES, key=len, reverse=True))))


def measured(line: str) -> int:
    """The columns of a line made of PIECES alone, by the table above."""
    assert not _PIECE.sub("", line), ascii(line)
    return sum(PIECES[piece] for piece in _PIECE.findall(line))


class DisplayWidth(unittest.TestCase):
    def test_columns_are_counted_and_not_characters(self) -> None:
        self.assertEqual({piece: display_width(piece) for piece in PIECES}, PIECES)


class Values(unittest.TestCase):
    def test_every_json_value_becomes_one_cell(self) -> None:
        cases = [
            (None, ""),
            ("", ""),
            ("fox", "fox"),
            (0, "0"),
            (True, "true"),
            (0.5, "0.5"),
            ([], ""),
            (["Ada", "Bo"], "Ada, Bo"),
            ([1, None, {"a": 2}], '1, null, {"a":2}'),
            ({"a": [1, "b"]}, '{"a":[1,"b"]}'),
            (jsontext.loads("12345678901234567890.10"), "12345678901234567890.10"),
        ]
        for value, cell in cases:
            with self.subTest(value=value):
                self.assertEqual(table([{"name": value}], NAMES, None), f"Name\n{cell}\n")


class Markdown(unittest.TestCase):
    def cell(self, text: str) -> str:
        line = markdown([{"name": text}], NAMES).split("\n", 2)[2]
        self.assertTrue(line.startswith("| ") and line.endswith(" |\n"), line)
        return line[2:-3]

    def test_rows_stand_below_headings(self) -> None:
        rows: list[dict[str, Any]] = [{"id": "a", "name": "Fox"}, {"id": "b", "name": None}]
        headings = "| Name | data.\\*.id |\n| --- | --- |\n"
        shown = [Column("Name", "name"), Column("data.*.id", "id")]
        self.assertEqual(markdown(rows, shown), headings + "| Fox | a |\n|  | b |\n")
        self.assertEqual(markdown([], shown), headings)

    def test_no_cell_starts_markup(self) -> None:
        cases = [
            ("plain name, 100 % (v2)!", "plain name, 100 % (v2)!"),
            ("a|b", r"a\|b"),
            ("a\\|b", r"a\\\|b"),
            ("`code`", r"\`code\`"),
            ("<b>x</b>", r"\<b\>x\</b\>"),
            ("**x** and *y*", r"\*\*x\*\* and \*y\*"),
            ("_x_ and fox_1_b.png", r"\_x\_ and fox_1_b.png"),
            ("a__b__", r"a\_\_b\_\_"),
            ("~~x~~", r"\~\~x\~\~"),
            ("![x](javascript:y)", r"!\[x\](javascript:y)"),
            ("&lt;b&#62; R&D", r"\&lt;b\&#62; R&D"),
            ("two\nlines\ror\tthree\u2028", "two lines or three"),
            ("\x1b[31mred\x00\u202e", "\ufffd\\[31mred\ufffd\ufffd"),
        ]
        for text, cell in cases:
            with self.subTest(text=text):
                self.assertEqual(self.cell(text), cell)

    def test_a_url_is_a_link(self) -> None:
        for text, cell in (
            ("https://example.com/a_b/~c?_jwt=x_&y=1#_d", "[link](https://example.com/a_b/~c?_jwt=x_&y=1#_d)"),
            ("HTTP://x.example/*", "[link](HTTP://x.example/*)"),
            ("see https://x.example/a, *now*", r"see [link](https://x.example/a), \*now\*"),
            ("https://x.example/a https://x.example/b", "[link](https://x.example/a) [link](https://x.example/b)"),
            ("https://x.example/<b>|x", "[link](https://x.example/%3Cb%3E%7Cx)"),
            ("https://x.example/a)b(c", "[link](https://x.example/a%29b%28c)"),
            ("https://x.example/狐%20[0]", "[link](https://x.example/%E7%8B%90%20%5B0)]".replace(")]", r")\]")),
            ("[x](https://x.example/)", r"\[x\]([link](https://x.example/))"),
            ("**https://x.example/**", r"\*\*[link](https://x.example/**)"),
            ("https://", "https://"),
        ):
            with self.subTest(text):
                self.assertEqual(self.cell(text), cell)

    def test_no_url_is_bare(self) -> None:
        chance = random.Random(5)
        for _ in range(500):
            pieces = ["https://", "http://a", *"|()[] <`\\b"]
            name = "".join(chance.choices(pieces, k=chance.randrange(9)))
            cell = self.cell(name)
            outside = re.sub(r"\[link\]\([^() ]*\)", "", cell)
            self.assertEqual(re.findall(r"https?://[ab]", outside), [], name)

    def test_no_text_adds_a_column_or_a_line(self) -> None:
        chance = random.Random(7)
        for _ in range(500):
            name = "".join(chance.choice("|\\`a \n<[_") for _ in range(chance.randrange(12)))
            lines = markdown([{"name": name, "id": "x"}], columns(Name="name", Id="id")).split("\n")
            self.assertEqual(len(lines), 4, name)
            bars = re.sub(r"\\.", "", lines[2]).count("|")
            self.assertEqual(bars, 3, name)


class Columns(unittest.TestCase):
    def test_an_answer_with_rows_is_recognized(self) -> None:
        for answer, rows in (
            ({"data": [{"a": 1}], "hasMore": False}, [{"a": 1}]),
            ([{"a": 1}, 7], [{"a": 1}, {"value": 7}]),
            ({"data": []}, []),
            ({"data": {}}, None),
            ({"id": 1}, None),
            ("text", None),
            (None, None),
        ):
            with self.subTest(answer=answer):
                self.assertEqual(rows_of(answer), rows)

    def test_columns_follow_the_keys_of_all_rows(self) -> None:
        found = columns_of([{"b": 1, "a": 2}, {"c": 3, "b": 4}])
        self.assertEqual([(column.heading, column.key) for column in found], [("b", "b"), ("a", "a"), ("c", "c")])


class NarrowWindow(unittest.TestCase):
    def test_it_leaves_out_what_is_least_important(self) -> None:
        job = {
            "startedAt": "soon",
            "model": "m",
            "prompt": "a fox",
            "status": "READY",
            "credits": 5,
            "saved": ["a.png"],
        }
        avatar = {"name": "Mira the concierge", "status": "READY", "voice": "Clara (preset)", "documents": 1}
        endpoint = {"method": "GET", "path": "/v1/" + "x" * 30, "summary": "List avatars"}
        field = {"name": "n", "type": "string", "required": "yes", "values": "1"}
        cases: tuple[tuple[Sequence[Column], dict[str, Any], int, str], ...] = (
            (ENDPOINT_COLUMNS, endpoint, 50, "Method Path"),
            (FIELD_COLUMNS, {**field, "required": ""}, 30, "Name Type Values"),
            (FIELD_COLUMNS, field, 32, "Name Type Required Values"),
            (FIELD_COLUMNS, field, 24, "Name Required Values"),
            (COLUMNS, job, 45, "Model Prompt Status Credits Saved"),
            (COLUMNS, job, 36, "Prompt Status Credits Saved"),
            (AVATAR_COLUMNS, avatar, 47, "Name Status Voice"),
            (AVATAR_COLUMNS, {**avatar, "voice": None}, 40, "Name Status Docs"),
        )
        for shown, row, width, headings in cases:
            with self.subTest(headings, width=width):
                self.assertEqual(table([row], list(shown), width).splitlines()[0].split(), headings.split())


class Table(unittest.TestCase):
    def test_columns_line_up_whatever_the_script(self) -> None:
        names = ("Fox", "狐狸", "🦊 Ada", "e\u0301")
        rows = [{"name": name, "n": number} for number, name in enumerate(names, 1)]
        self.assertEqual(
            table(rows, columns(Name="name", No="n"), None),
            "Name    No\nFox     1\n狐狸    2\n🦊 Ada  3\ne\u0301       4\n",
        )

    def test_no_rows_are_the_headings_alone(self) -> None:
        self.assertEqual(table([], columns(Name="name", Id="id"), 80), "Name  Id\n")

    def test_the_widest_text_is_cut_first(self) -> None:
        rows = [{"a": "short one", "b": "x " * 30}]
        for width, b in ((33, "x " * 10 + "x…"), (None, "x " * 29 + "x")):
            self.assertEqual(table(rows, columns(A="a", B="b"), width), f"A          B\nshort one  {b}\n")

    def test_whole_columns_are_left_out_before_texts_are_cut_and_ids_never_are(self) -> None:
        name = "a fox and an owl and a hare"
        row = {"id": "x" * 36, "name": name, "model": "gen4", "status": "SUCCEEDED", "credits": 25, "seed": 7}
        shown = columns(Id="id", Name="name", Status="status", Credits="credits")
        shown[2:2] = [
            Column("Model", "model", rank=1),
            Column("Seed", "seed", rank=2),
            Column("Voice", "voice", rank=1),
        ]
        for width, headings, cell in (
            (105, "Id Name Model Seed Voice Status Credits", name),
            (104, "Id Name Model Seed Status Credits", name),
            (93, "Id Name Model Seed Status Credits", "a fox and an owl and …"),
            (92, "Id Name Model Status Credits", name),
            (87, "Id Name Model Status Credits", "a fox and an owl and …"),
            (85, "Id Name Status Credits", name),
            (80, "Id Name Status Credits", "a fox and an owl and …"),
        ):
            with self.subTest(width=width):
                text, left_out = tables.table([row], shown, width)
                self.assertEqual(text.splitlines()[0].split(), headings.split())
                self.assertEqual(left_out, [each for each in ("Model", "Seed") if each not in headings.split()])
                self.assertIn("x" * 36 + f"  {cell} ", text)
                self.assertLessEqual(max(map(display_width, text.splitlines())), width)

    def test_a_column_without_values_is_left_out_first(self) -> None:
        shown = columns(Name="name", Saved="saved", Model="model")
        for width, headings in ((12, ["Name", "Model"]), (18, ["Name", "Saved", "Model"])):
            self.assertEqual(table([{"name": "fox", "model": "m"}], shown, width).split(), [*headings, "fox", "m"])

    def test_where_what_stays_does_not_fit_each_row_is_a_few_lines(self) -> None:
        rows: list[dict[str, Any]] = [
            {"id": "x" * 36, "status": "SUCCEEDED", "name": "a fox " * 9, "credits": 5},
            {"id": "y", "name": "owl"},
        ]
        shown = columns(Id="id", Name="name", Status="status", Credits="credits")
        name = "Name     a fox a fox a fox a fox a fox a\n         fox a fox a fox a fox"
        fox = f"Id       {'x' * 36}\n{name}\nStatus   SUCCEEDED\nCredits  5\n"
        self.assertEqual(table(rows, shown, 40), f"{fox}\nId       y\nName     owl\n")

    def test_times_are_relative_at_a_terminal_alone(self) -> None:
        for seconds, words in ((5, "5 s ago"), (130, "2 min 10 s ago"), (7300, "2 h 1 min ago")):
            moment = datetime.fromtimestamp(time.time() - seconds, timezone.utc).isoformat().replace("+00:00", "Z")
            for width, shown in ((80, words), (None, moment)):
                with self.subTest(words, width=width):
                    self.assertEqual(table([{"createdAt": moment}], columns(C="createdAt"), width), f"C\n{shown}\n")
        for moment, shown in (
            ("2020-01-02T03:04:05.678Z", "2020-01-02"),
            ("soon", "soon"),
            ("9020-01-02", "9020-01-02"),
        ):
            self.assertEqual(table([{"createdAt": moment}], columns(C="createdAt"), 80), f"C\n{shown}\n")

    def test_a_status_has_its_colour(self) -> None:
        for status, style in (("SUCCEEDED", 32), ("READY", 32), ("FAILED", 31), ("RUNNING", 33), ("ODD", 33)):
            text, _ = tables.table([{"id": "a", "status": status}], columns(Id="id", S="status"), 80, is_coloured=True)
            self.assertEqual(text, f"\x1b[2mId\x1b[0m  \x1b[2mS\x1b[0m\na   \x1b[{style}m{status}\x1b[0m\n")

    def test_a_very_long_failure_is_measured_once(self) -> None:
        for word in ("x", "狐", "x ", "狐 "):
            start = time.process_time()
            rows = [{"id": "a", "status": "FAILED", "error": word * 100_000}]
            text = table(rows, [*columns(Id="id", Status="status"), Column("Error", "error", wrap=True)], 80)
            self.assertEqual(text.count(word.strip()), 100_000)
            self.assertLess(time.process_time() - start, 4)

    def test_allowed_values_are_wrapped_and_not_cut(self) -> None:
        rows = [{"model": "gen4", "ratio": ["1280:720", "720:1280", "960:960"], "duration": [5, 10]}]
        shown = [Column("Model", "model"), Column("Ratio", "ratio", wrap=True), Column("Duration", "duration")]
        self.assertEqual(
            table(rows, shown, 39).splitlines(),
            [
                "Model  Ratio                   Duration",
                "gen4   1280:720, 720:1280,     5, 10",
                "       960:960",
            ],
        )

    def test_wrapped_lines_hold_all_of_a_value(self) -> None:
        chance = random.Random(3)
        self.assertEqual(wrapped("", 5), [""])
        for _ in range(200):
            value = " ".join(
                "".join(chance.choices(["a", "Z", "é", "狐"], k=chance.randrange(1, 12))) for _ in range(8)
            )
            width = chance.randrange(MIN_TEXT, 40)
            lines = wrapped(value, width)
            self.assertEqual("".join(lines).replace(" ", ""), value.replace(" ", ""))
            self.assertLessEqual(max(map(display_width, lines)), width + 1)

    def test_every_line_fits_and_the_last_column_starts_at_one_place(self) -> None:
        chance = random.Random(11)
        pieces = [*(piece for piece in PIECES if not re.search("[\ufe0f❤🇫]", piece)), " "]  # a cut may go through them
        for _ in range(300):
            rows = [{key: "".join(chance.choices(pieces, k=chance.randrange(30))) for key in "ab"} for _ in range(4)]
            width = chance.randrange(2 * MIN_TEXT + 5, 100)
            lines = table(
                [{**row, "c": "7"} for row in rows], [Column("Za", "a"), Column("aZ", "b"), Column("7", "c")], width
            ).splitlines()
            widths = {measured(line) for line in lines}
            self.assertEqual(len(widths), 1, ascii(rows))
            self.assertLessEqual(max(widths), width, ascii(rows))
