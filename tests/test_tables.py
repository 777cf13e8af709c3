"""Tables: nothing in a cell breaks a row, steers a terminal or stands out of its column."""

from __future__ import annotations

import random
import re
import sys
import unittest

from runway_cli import jsontext
from runway_cli.tables import SHORTEST, display_width, markdown, table

NAMES = {"Name": "name"}

# what a person sees as one thing, and the columns that a terminal gives it
PIECES = {
    "a": 1, "Z": 1, "7": 1, " ": 1, "é": 1, "e\u0301": 1, "ж": 1, "ש": 1, "\u0915\u094d": 1,
    "狐": 2, "한": 2, "\u1112\u1161\u11ab": 2, "\uff21": 2, "ｱ": 1, "\u3000": 2,
    "🦊": 2, "👍🏽": 2, "👩‍🚀": 2, "👨‍👩‍👧‍👦": 2, "🇫🇷": 2, "❤️": 2, "❤": 1, "1️⃣": 2, "🏳️‍🌈": 2, "…": 1, "\ufffd": 1,
}
_PIECE = re.compile("|".join(map(re.escape, sorted(PIECES, key=len, reverse=True))))


def measured(line: str) -> int:
    """The columns of a line made of PIECES alone, by the table above."""
    assert not _PIECE.sub("", line), ascii(line)
    return sum(PIECES[piece] for piece in _PIECE.findall(line))


class DisplayWidth(unittest.TestCase):
    def test_what_looks_like_one_thing_is_measured_as_one(self) -> None:
        self.assertEqual({piece: display_width(piece) for piece in PIECES}, PIECES)

    def test_marks_alone_and_halves_of_flags_are_measured_too(self) -> None:
        cases = {"": 0, "\u0301": 0, "🇫": 1, "🇫🇷🇩": 3, "🇫🇷🇩🇪": 4, "🏽": 2, " \ufe0f": 1, "क\u200dक": 2}
        self.assertEqual({text: display_width(text) for text in cases}, cases)

    def test_an_emoji_newer_than_this_python_is_wide(self) -> None:
        self.assertEqual(display_width("\U0001fae8"), 2)  # Unicode 15; Python 3.9 has 13


class Values(unittest.TestCase):
    def test_every_json_value_becomes_one_cell(self) -> None:
        cases = [
            (None, ""), ("", ""), ("fox", "fox"), (0, "0"), (True, "true"), (0.5, "0.5"), ([], ""),
            (["Ada", "Bo"], "Ada, Bo"), ([1, None, {"a": 2}], '1, null, {"a":2}'), ({"a": [1, "b"]}, '{"a":[1,"b"]}'),
            (jsontext.loads("12345678901234567890.10"), "12345678901234567890.10"),
        ]
        for value, cell in cases:
            with self.subTest(value=value):
                self.assertEqual(table([{"name": value}], NAMES, None), f"Name\n{cell}\n")

    def test_a_missing_key_is_an_empty_cell(self) -> None:
        self.assertEqual(table([{}], {"A": "a", "B": "b"}, None), "A  B\n\n")


class Markdown(unittest.TestCase):
    def cell(self, text: str) -> str:
        line = markdown([{"name": text}], NAMES).split("\n", 2)[2]
        self.assertTrue(line.startswith("| ") and line.endswith(" |\n"), line)
        return line[2:-3]

    def test_rows_stand_below_headings(self) -> None:
        self.assertEqual(
            markdown([{"id": "a", "name": "Fox"}, {"id": "b", "name": None}], {"Name": "name", "Id": "id"}),
            "| Name | Id |\n| --- | --- |\n| Fox | a |\n|  | b |\n")

    def test_no_rows_are_the_headings_alone(self) -> None:
        self.assertEqual(markdown([], {"Name": "name", "Id": "id"}), "| Name | Id |\n| --- | --- |\n")

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
            ("two\nlines\r\nor\tthree\u2028", "two lines or three"),
            ("  space  ", "space"),
            ("\x1b[31mred\x00", "\ufffd\\[31mred\ufffd"),
            ("\u202egnp.exe", "\ufffdgnp.exe"),
        ]
        for text, cell in cases:
            with self.subTest(text=text):
                self.assertEqual(self.cell(text), cell)

    def test_an_address_stays_a_link(self) -> None:
        address = "https://example.com/a_b/~c?_jwt=x_&lt;=1#_d"
        self.assertEqual(self.cell(address), address)
        self.assertEqual(markdown([{"name": [address, address]}], NAMES).split("\n")[2], f"| {address}, {address} |")
        self.assertEqual(self.cell("https://example.com/<b>|x"), r"https://example.com/\<b\>\|x")

    def test_no_text_adds_a_column_or_a_line(self) -> None:
        chance = random.Random(7)
        for _ in range(500):
            name = "".join(chance.choice("|\\`a \n<[_") for _ in range(chance.randrange(12)))
            lines = markdown([{"name": name, "id": "x"}], {"Name": "name", "Id": "id"}).split("\n")
            self.assertEqual(len(lines), 4, name)
            bars = re.sub(r"\\.", "", lines[2]).count("|")
            self.assertEqual(bars, 3, name)


class Table(unittest.TestCase):
    def test_columns_line_up_whatever_the_script(self) -> None:
        names = ("Fox", "狐狸", "👩‍🚀 Ada", "e\u0301")
        rows = [{"name": name, "n": number} for number, name in enumerate(names, 1)]
        self.assertEqual(table(rows, {"Name": "name", "No": "n"}, None),
                         "Name    No\n"
                         "Fox     1\n"
                         "狐狸    2\n"
                         "👩‍🚀 Ada  3\n"
                         "e\u0301       4\n")

    def test_no_rows_are_the_headings_alone(self) -> None:
        self.assertEqual(table([], {"Name": "name", "Id": "id"}, 80), "Name  Id\n")

    def test_nothing_is_cut_without_a_width(self) -> None:
        self.assertEqual(table([{"name": "x" * 500}], NAMES, None), "Name\n" + "x" * 500 + "\n")

    def test_the_widest_column_is_cut_first(self) -> None:
        rows = [{"a": "short one", "b": "x" * 60}]
        self.assertEqual(table(rows, {"A": "a", "B": "b"}, 20), "A          B\nshort one  xxxxxxxx…\n")

    def test_a_wide_character_is_never_halved(self) -> None:
        self.assertEqual(table([{"name": "狐狸狐狸狐狸"}], NAMES, 8), "Name\n狐狸狐…\n")
        self.assertEqual(table([{"name": "狐狸狐狸狐狸"}], NAMES, 7), "Name\n狐狸狐…\n")
        self.assertEqual(table([{"name": "👩‍🚀👩‍🚀👩‍🚀👩‍🚀👩‍🚀"}], NAMES, 7), "Name\n👩‍🚀👩‍🚀👩‍🚀…\n")

    def test_ids_are_cut_last(self) -> None:
        rows = [{"id": "x" * 36, "output": "y" * 90, "name": "z" * 20}]
        columns = {"Id": "id", "Output": "output", "Name": "name"}
        for width, ids, output, name in (
            (90, "x" * 36, "y" * 29 + "…", "z" * 20),
            (70, "x" * 36, "y" * 14 + "…", "z" * 14 + "…"),
            (52, "x" * 36, "yyyyy…", "zzzzz…"),
            (40, "x" * 23 + "…", "yyyyy…", "zzzzz…"),
        ):
            with self.subTest(width=width):
                self.assertEqual(table(rows, columns, width).split("\n")[1], f"{ids}  {output}  {name}")

    def test_no_column_is_cut_below_what_can_be_read(self) -> None:
        rows = [{str(n): "word after word" for n in range(5)}]
        lines = table(rows, {f"Heading {n}": str(n) for n in range(5)}, 10).split("\n")
        self.assertEqual(lines[1], "  ".join(["word …"] * 5))
        self.assertEqual(len("word …"), SHORTEST)

    def test_no_server_steers_the_terminal(self) -> None:
        rows = [{"name": "\x1b[2J\x07\x9b\u202e\u2066\u200b\ud800a\nb\tc"}]
        self.assertEqual(table(rows, NAMES, None), "Name\n" + "\ufffd[2J" + "\ufffd" * 6 + "a b c\n")

    def test_every_line_fits_and_the_last_column_starts_at_one_place(self) -> None:
        chance = random.Random(11)
        pieces = [piece for piece in PIECES if piece != "❤"]  # some pieces would join it
        for _ in range(300):
            rows = [{key: "".join(chance.choices(pieces, k=chance.randrange(30))) for key in "ab"} for _ in range(4)]
            width = chance.randrange(2 * SHORTEST + 5, 100)
            lines = table([{**row, "c": "7"} for row in rows], {"Za": "a", "aZ": "b", "7": "c"}, width).splitlines()
            widths = {measured(line) for line in lines}
            self.assertEqual(len(widths), 1, ascii(rows))
            self.assertLessEqual(max(widths), width, ascii(rows))

    def test_any_unicode_fits(self) -> None:
        chance = random.Random(13)
        for _ in range(300):
            rows = [{key: "".join(chr(chance.randrange(sys.maxunicode + 1)) for _ in range(chance.randrange(30)))
                     for key in "ab"} for _ in range(3)]
            width = chance.randrange(2 * SHORTEST + 2, 60)
            text = table(rows, {"A": "a", "B": "b"}, width)
            self.assertEqual(text.count("\n"), 4)
            self.assertLessEqual(max(map(display_width, text.split("\n"))), width, ascii(rows))


if __name__ == "__main__":
    unittest.main()
