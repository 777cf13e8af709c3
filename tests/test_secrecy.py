"""What a console prints has no secret in it, nor a part of one, whatever it is printed as."""

from __future__ import annotations

import json
import random
import unittest
from collections.abc import Callable
from typing import Any

from runway_cli.api.answers import MAX_EXCERPT, excerpt
from runway_cli.terminal import masking
from runway_cli.terminal.console import MAX_BODY, MAX_MESSAGE, MAX_NOTE, Console, parse
from runway_cli.terminal.progress import live
from runway_cli.terminal.tables import Column
from tests.streams import captured
from tests.test_masking import DATA_URI, SIGNED, random_key

KEY = "key_" + "0123456789abcdef" * 8
NAMES = [Column("Name", "name"), Column("Preview", "preview", link="listen")]


class Masked(unittest.TestCase):
    def test_a_result_is_data_and_only_the_secret_is_masked(self) -> None:
        with captured() as kept:
            console = Console()
            console.keep_secret(KEY)
            console.result({"output": [SIGNED], "sessionKey": "abc", KEY: f"a {KEY}", "image": DATA_URI})
        self.assertEqual(
            json.loads(kept.out.text), {"output": [SIGNED], "sessionKey": "abc", "***": "a ***", "image": DATA_URI}
        )

    def test_a_result_with_a_secret_of_digits_stays_json(self) -> None:
        with captured() as kept:
            console = Console()
            console.keep_secret("12345678")
            console.result({"a": 12345678, "b": 7})
        self.assertEqual(json.loads(kept.out.text), {"a": "***", "b": 7})

    def test_a_short_secret_is_not_masked_in_results(self) -> None:
        with captured() as kept:
            console = Console()
            console.keep_secret("short")
            console.result({"a": "short"})
            console.note("short")
        self.assertEqual(kept.out.text, '{"a":"short"}\n')
        self.assertEqual(kept.err.text, "***\n")

    def test_whatever_goes_to_stderr_is_masked(self) -> None:
        for given, shown in (
            (f"trying again: {SIGNED}", "trying again: https://storage.example/a/b.png?***"),
            ('{"sessionKey":"abc"}', '{"sessionKey":"***"}'),
            ("api_token=at_1", "api_token=***"),
            (DATA_URI, "data:image/png;base64,… (825 B)"),
            ('"fields":{"policy":"p"}', '"fields":"***"'),
            (f"key {KEY}", "key ***"),
        ):
            actions: tuple[Callable[[Console], None], ...] = (
                lambda console: console.note(given),  # noqa: B023
                lambda console: console.tell(given),  # noqa: B023
                lambda console: console.trace("<", [given]),  # noqa: B023
                lambda console: console.trace("<", [], given.encode()),  # noqa: B023
            )
            for number, act in enumerate(actions):
                with self.subTest(given[:30], action=number), captured() as kept:
                    console = Console(verbose=True)
                    console.keep_secret(KEY)
                    act(console)
                    self.assertEqual(kept.err.text.strip("< \n"), shown)

    def test_a_key_at_a_cut_is_masked(self) -> None:
        for limit, act in (
            (MAX_NOTE, Console.note),
            (MAX_BODY, lambda console, text: console.trace("<", [text])),
            (MAX_BODY, lambda console, text: console.trace("<", [], text.encode())),
            (MAX_MESSAGE, lambda console, text: console.error({"error": text, "example": "x"})),
        ):
            for start in range(limit - len(KEY) - 5, limit + 1, 7):
                with self.subTest(start), captured() as kept:
                    console = Console(verbose=True)
                    console.keep_secret(KEY)
                    act(console, "x" * start + KEY + "y" * 100)
                    self.assertNotIn("key_", kept.err.text)

    def test_a_key_at_the_cut_of_a_long_answer_is_masked(self) -> None:
        secrets = Console().secrets
        secrets.keep(KEY)
        for spaces in range(20 * MAX_EXCERPT - len(KEY) - 5, 20 * MAX_EXCERPT + 1, 7):
            with self.subTest(spaces):
                self.assertNotIn("key_", excerpt(b" " * spaces + KEY.encode() + b" y" * 100, secrets.mask))

    def test_an_error_stays_json_whatever_is_masked(self) -> None:
        document = {
            "error": f"the image {DATA_URI} and {SIGNED} of {KEY}",
            "fields": {"a": {"b": 1}, "c": 2},
            "sessionKey": {"a": 1},
            "issues": [{"field": "sessionKey", "messages": [SIGNED]}],
            "example": "runway-cli auth status",
        }
        with captured() as kept:
            console = Console()
            console.keep_secret(KEY)
            console.error(document)
        shown = json.loads(kept.err.text)
        self.assertEqual(
            shown["error"], "the image data:image/png;base64,… (825 B) and https://storage.example/a/b.png?*** of ***"
        )
        self.assertEqual(shown["sessionKey"], "***")
        self.assertEqual(shown["issues"], [{"field": "sessionKey", "messages": [masking.text(SIGNED)]}])

    def test_an_error_that_is_nested_too_deeply_is_still_told(self) -> None:
        for depth in (*range(200, 1000, 3), 100_000):
            deep: Any = "x"
            for _ in range(depth):
                deep = [deep]
            with captured() as kept:
                Console().error({"error": "bad", "more": deep, "example": "x"})
            shown = json.loads(kept.err.text)
            self.assertEqual(shown["error"], "bad")
            self.assertEqual(shown["example"], "x")
        self.assertEqual(shown["more"], masking.TOO_DEEP)


class RandomKeys(unittest.TestCase):
    """A key does not appear, and no part of it that is longer than 8 characters."""

    def check(self, key: str, text: str) -> None:
        plain = " ".join(text.replace("\\", "").split())
        wanted = " ".join(key.replace("\\", "").split())
        for start in range(len(wanted) - 9):
            piece = wanted[start : start + 9]
            if len(set(piece)) > 4:
                self.assertNotIn(piece, plain, f"a part of {key!r}")

    def test_a_key_does_not_appear_on_stderr(self) -> None:
        chance = random.Random(23)
        for _ in range(150):
            key = random_key(chance)
            text = f"{'x' * chance.randrange(1100)} {key} {'y' * chance.randrange(90)}"
            with captured(err_is_terminal=chance.random() < 0.5, columns=chance.randrange(9, 120)) as kept:
                console = Console(verbose=True, format=chance.choice([None, "json"]))
                console.keep_secret(key)
                lines = live(console)
                if lines:
                    lines.show([text, (key, f"{key} {key}"), f"{key} {key}"])
                console.note(text)
                console.tell(text)
                console.trace(">", [text], text.encode())
                console.trace("<", [], json.dumps({"a": [text], key: key}).encode())
                console.error(
                    {"error": text, "issues": [{"field": key, "messages": [text, key]}], "example": f"x {key}"}
                )
            self.check(key, kept.err.text)
            if not kept.err.is_terminal:
                self.check(key, json.dumps(json.loads(kept.err.lines[-1]), ensure_ascii=False))

    def test_a_key_does_not_appear_on_stdout(self) -> None:
        chance = random.Random(29)
        for _ in range(150):
            key = random_key(chance).replace("..", ".é")  # a path has no empty part
            text = f"{'x' * chance.randrange(60)}{key}{'y' * chance.randrange(30)}"
            rows = [{"id": "a", "name": text, "preview": f"https://x.example/{key}?{text}", key: [key, {"a": text}]}]
            columns = [*NAMES, Column(key, key), Column("Wrapped", key, wrap=True)]
            for format in ("json", "jsonl", "table", "markdown"):
                for select in (None, "name", f"name,{key}"):
                    with captured(out_is_terminal=chance.random() < 0.5, columns=chance.randrange(9, 120)) as kept:
                        console = Console(format=format, select=parse(select) if select else None)
                        console.keep_secret(key)
                        console.rows(rows, columns, {key: key})
                        console.row(rows[0], alone=True)
                        console.end_rows(columns)
                        console.write(f"{key}\n")
                    self.check(key, kept.out.text + kept.err.text)


if __name__ == "__main__":
    unittest.main()
