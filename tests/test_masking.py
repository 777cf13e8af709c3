"""What is masked: secrets in every encoding, signed URLs, tokens and data URIs, and in all that a console prints."""

from __future__ import annotations

import json
import random
import string
import time
import unittest
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from unittest import mock
from urllib.parse import quote

from runway_cli import jsontext
from runway_cli.api import client
from runway_cli.api.answers import MAX_EXCERPT, excerpt
from runway_cli.commands.display import live
from runway_cli.settings import readable_size
from runway_cli.terminal import masking
from runway_cli.terminal.console import FORMATS, MAX_BODY, MAX_MESSAGE, MAX_NOTE, Console, parse
from runway_cli.terminal.masking import Secrets
from runway_cli.terminal.tables import Column
from tests.fake import TOKEN
from tests.streams import Streams, captured

DATA_URI = "data:image/png;base64," + "iVBORw0KGgo" * 100
SHORT_URI = "data:image/png;base64,iVBORw0KGgo="
SIGNED = "https://storage.example/a/b.png?_jwt=eyJhbGciOiJIUzI1NiJ9.e30.x-y_z&w=1"
UPLOAD = {"uploadUrl": SIGNED, "fields": {"policy": "p" * 10, "key": "k"}, "runwayUri": "runway://u"}
BASE = "https://api.example/base"
KEY = "key_" + "0123456789abcdef" * 8
ODD = "_*|\\\"'%&<>+/=.$"  # what a header can hold, and URLs, JSON, Markdown or a shell write differently
NAMES = [Column("Name", "name"), Column("Preview", "preview", link="listen")]


def random_key(chance: random.Random) -> str:
    """A key of 14 to 41 characters, many of them ODD."""
    length = chance.randrange(12, 40)
    return "k" + "".join(chance.choice(ODD + string.ascii_letters) for _ in range(length)) + "y"


def encodings(key: str) -> dict[str, str]:
    """`key` as URLs and JSON write it."""
    return {
        "plain": key,
        "URL": quote(key, safe=""),
        "request line": quote(key, safe="/?%:@!$&'()*+,;=~[]-._"),
        "JSON": json.dumps(key)[1:-1],
    }


def disguises(key: str) -> dict[str, str]:
    """`key` as a server may repeat it where nobody expects it."""
    lines = [key[start : start + 20] for start in range(0, len(key), 20)]
    found = {
        "wrapped": "\n".join(lines),
        "quoted in a mail": "\r\n> ".join(lines),
        "wrapped in JSON in JSON": "\\n".join(lines),
        "tags": "<b>".join(lines),
        "tags as entities": "&lt;wbr&gt;&#60;b&#x3E;".join(lines),
        "a tag with a quoted >": "<b title='x>y'>".join(lines),
        "colours": "\x1b[1;31m".join(lines),
        "colours in JSON in JSON": r"\u001b[31m".join(lines),
        "tags with attributes": '</span><span class="k2 x">'.join(lines),
        "percent": "".join(f"%{ord(c):02x}" for c in key),
        "half percent": "".join(f"%{ord(c):02X}" if number % 2 else c for number, c in enumerate(key)),
        "entities": "".join(f"&#{ord(c)};" for c in key),
        "hex entities": "".join(f"&#x{ord(c):X};" for c in key),
        "Basic": b64encode(f"{key}:".encode()).decode(),
        "Bearer": b64encode(f"Bearer {key}".encode()).decode(),
        "base64": b64encode(f"a{key}".encode()).decode().rstrip("="),
        "base64 for URLs": urlsafe_b64encode(f"?>{key}?>".encode()).decode(),
    }
    for character in "\u200b\u00ad\u061c\u2060\ufeff\U000e0041\ufe0f\u3164":
        found[f"{ord(character):x}"] = character.join(key)
    return {**found, "shy": "&shy;".join(key), "200b": "&#8203;".join(key), "percent 200b": "%E2%80%8B".join(lines)}


class Text(unittest.TestCase):
    def test_text_and_bodies_that_are_not_json(self) -> None:
        for given, shown in (
            ("plain words: 7 % of a=b", "plain words: 7 % of a=b"),
            (DATA_URI, "data:image/png;base64,… (825 B)"),
            (f"the image '{DATA_URI}' is bad", "the image 'data:image/png;base64,… (825 B)' is bad"),
            ("data:image/png;base64," + "A" * 1_600_000, "data:image/png;base64,… (1.2 MB)"),
            ("data:text/plain;charset=utf-8," + "a" * 300, "data:text/plain;charset=utf-8,… (300 B)"),
            ("data:;base64," + "A" * 400, "data:;base64,… (300 B)"),
            ("DATA:image\\/png;base64," + "A\\/BC" * 80, "DATA:image\\/png;base64,… (300 B)"),
            (SHORT_URI, SHORT_URI),
            (f"see {SIGNED}, please", "see https://storage.example/a/b.png?***, please"),
            (f"(see {SIGNED}).", "(see https://storage.example/a/b.png?***)."),
            (f"'{SIGNED}' was", "'https://storage.example/a/b.png?***' was"),
            ("https://s.example/a?name=UTF-8''fox.png&sig=abc x", "https://s.example/a?*** x"),
            (f'"{SIGNED}"', '"https://storage.example/a/b.png?***"'),
            ('"https:\\/\\/s.example\\/a?x=1\\u0026sig=abc"', '"https:\\/\\/s.example\\/a?***"'),
            ("HTTPS://s.example/a?sig=abc", "HTTPS://s.example/a?***"),
            ("a=https%3A%2F%2Fs.example%2Fa%3Fsig%3Dabc&b=1", "a=https%3A%2F%2Fs.example%2Fa%3F***&b=1"),
            ("https://docs.example/api#part", "https://docs.example/api#part"),
            ("is it https://docs.example/api?", "is it https://docs.example/api?"),
            ("GET /v1/x?a=1&api_token=at_1234&b=2", "GET /v1/x?a=1&api_token=***&b=2"),
            ("API_TOKEN=at_1234", "API_TOKEN=***"),
            ('{"api_token": "at_1234"}', '{"api_token": "***"}'),
            ("the api_token=at_1234, that is", "the api_token=***, that is"),
            ("x%3Fapi_token%3Dat_1234", "x%3Fapi_token%3D***"),
            ('{"sessionKey": "abc", "id": 1}', '{"sessionKey": "***", "id": 1}'),
            ('{"sessionKey": "abc def", "id": 1}', '{"sessionKey": "***", "id": 1}'),
            ("{'sessionKey': 'abc'}", "{'sessionKey': '***'}"),
            ('{"id":1,"sessionKey":"abc', '{"id":1,"sessionKey":"***'),
            (r'"{\"sessionKey\":\"abc\"}"', r'"{\"sessionKey\":\"***\"}"'),
            (r'{"sessionKey":"abc\/def","id":1}', '{"sessionKey":"***","id":1}'),
            (r'"{\"sessionKey\":\"abc\\/def\"}"', r'"{\"sessionKey\":\"***\"}"'),
            ("sessionKey=abc", "sessionKey=***"),
            ("unexpected argument 'key_" + "0f" * 64 + "'", "unexpected argument '***'"),
            ("the key_of_a_door", "the key_of_a_door"),
            (r'{"error":"bad\nkey_' + "0f" * 64 + '"}', r'{"error":"bad\n***"}'),
            ("the sessionKey is missing", "the sessionKey is missing"),
            ('{"fields":{"key":"k","policy":"p"},"x":1}', '{"fields":"***","x":1}'),
            ('{"fields":{"key":"up/${filename}","policy":"p"},"x":1}', '{"fields":"***","x":1}'),
            ('{"fields":{"key":"a}b\\"}","policy":"p"},"x":1}', '{"fields":"***","x":1}'),
            ('{"fields":{"key":"up/${file', '{"fields":"***"'),
            (r"{\"fields\":{\"key\":\"a}b\",\"policy\":\"p\"},", r'{\"fields\":"***",'),
            ('{"fields": {"key": "k", "poli', '{"fields": "***"'),
            (r"{\"fields\":{\"key\":\"k\"},", r'{\"fields\":"***",'),
        ):
            with self.subTest(given=given[:60]):
                self.assertEqual(masking.text(given), shown)
                self.assertEqual(masking.text(shown), shown)

    def test_a_services_own_urls_keep_their_query(self) -> None:
        for given, shown in (
            (f"GET {BASE}/v1/x?limit=5&cursor=a", f"GET {BASE}/v1/x?limit=5&cursor=a"),
            (f"GET {BASE}/v1/x?api_token=at_1&b=2", f"GET {BASE}/v1/x?api_token=***&b=2"),
            (
                f"GET {BASE}/v1/x?a={quote(SIGNED, safe='')}",
                f"GET {BASE}/v1/x?a={quote('https://storage.example/a/b.png?', safe='')}***",
            ),
            ("GET https://api.example/base.evil?a=1", "GET https://api.example/base.evil?***"),
        ):
            with self.subTest(given):
                self.assertEqual(masking.text(given, BASE), shown)

    def test_hostile_text_takes_linear_time(self) -> None:
        secrets = Secrets()
        secrets.keep(KEY)
        urls = 'http:// https://a? https:\\/ https%3A%2F%2F data: data:a/b; data:a/ ;a=b sessionKey: sessionKey"'
        cuts = '"fields":{ < & &# % %4 \\u <script> api_token= <" <a\'"<"\' &lt; &lt;b&gt \x1b['
        spaces = ("sessionKey ", "<a ", '"fields":' + " " * 50, "https://a?" + "." * 50, "http" + "\\" * 50)
        for piece in (*urls.split(), *cuts.split(), *spaces, KEY[:-1] + "\n", "\n".join(KEY) + "-"):
            with self.subTest(piece):
                text = piece * (400_000 // len(piece))
                start = time.process_time()
                masking.text("data:a/b" + text)
                masking.text(text)
                secrets.mask(text)
                excerpt(text.encode(), secrets.mask)
                self.assertLess(time.process_time() - start, 2, "quadratic time would be minutes")


class Values(unittest.TestCase):
    def test_json_values(self) -> None:
        number = jsontext.loads("1.10")
        for given, shown in (
            (None, None),
            (7, 7),
            (number, number),
            (["a", {"b": True}], ["a", {"b": True}]),
            (("a", SIGNED), ["a", "https://storage.example/a/b.png?***"]),
            (
                {"sessionKey": "abc", "api_token": 7, "Authorization": "Bearer x", "id": "i"},
                {"sessionKey": "***", "api_token": "***", "Authorization": "***", "id": "i"},
            ),
            (
                UPLOAD,
                {"uploadUrl": "https://storage.example/a/b.png?***", "fields": "***", "runwayUri": "runway://u"},
            ),
            ({"fields": {"a": 1}}, {"fields": {"a": 1}}),
            ({"images": [{"uri": DATA_URI}]}, {"images": [{"uri": "data:image/png;base64,… (825 B)"}]}),
        ):
            with self.subTest(given=str(type(given))):
                self.assertEqual(masking.value(given), shown)

    def test_a_body_is_masked_as_json_or_else_as_text(self) -> None:
        for given, shown in (
            (b"", ""),
            (b'{"a": [1, "x"], "sessionKey": {"a": 1}}', '{"a":[1,"x"],"sessionKey":"***"}'),
            (f"<p>{SIGNED}</p>".encode(), "<p>https://storage.example/a/b.png?***</p>"),
            (b"\xff sessionKey=abc", "\ufffd sessionKey=***"),
        ):
            with self.subTest(given[:30]):
                self.assertEqual(masking.body(given), shown)

    def test_sizes(self) -> None:
        for size, shown in (
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (1_234_567, "1.2 MB"),
            (5e12, "5000.0 GB"),
        ):
            with self.subTest(size):
                self.assertEqual(readable_size(size), shown)


class SecretsTest(unittest.TestCase):
    def masked(self, text: str, *secrets: str, min_length: int = 4) -> str:
        kept = Secrets()
        for secret in secrets:
            kept.keep(secret)
        return kept.mask(text, min_length)

    def test_a_secret_is_masked_in_every_encoding(self) -> None:
        chance = random.Random(17)
        for _ in range(400):
            key = random_key(chance)
            for name, text in encodings(key).items():
                self.assertEqual(self.masked(f"a {text} b", key), "a *** b", f"{name} of {key!r}: {text}")

    def test_a_secret_is_masked_in_disguise(self) -> None:
        chance = random.Random(19)
        keys = (KEY, TOKEN, *("x" + "".join(chance.choices(string.ascii_letters + "+/=._-", k=60)) for _ in range(20)))
        for key in keys:
            for name, text in disguises(key).items():
                with self.subTest(key=key, disguise=name):
                    shown = self.masked(f"my dear: {text} is wrong", key)
                    self.assertIn("***", shown)
                    self.assertLess(len(shown), 60)

    def test_text_is_left_as_it_is_where_no_secret_is_in_disguise(self) -> None:
        for text in ("50% of <b> & 3 > 2 &amp; %41\\n " * 30, KEY[:-2] + "\n" + KEY[:9]):
            self.assertEqual(self.masked(text, KEY, TOKEN), text)

    def test_a_secret_that_is_part_of_another_does_not_reveal_it(self) -> None:
        self.assertEqual(self.masked("abcdefghij abcdef", "abcdef", "abcdefghij"), "*** ***")

    def test_a_short_secret_is_masked_where_words_are_not_data(self) -> None:
        secrets = ("sho", "short", "long-enough")
        self.assertEqual(self.masked("sho short long-enough", *secrets), "sho *** ***")
        self.assertEqual(self.masked("sho short long-enough", *secrets, min_length=8), "sho short ***")

    def test_json_values_stay_json(self) -> None:
        secrets = Secrets()
        secrets.keep("12345678")
        given = {"a12345678": ["b12345678", 12345678, 123456789.5, True, None, jsontext.loads("0.123456780"), 7]}
        self.assertEqual(secrets.mask_value(given), {"a***": ["b***", "***", "***", True, None, "***", 7]})


class Printed(unittest.TestCase):
    """What a console prints has no secret in it, nor a part of one, whatever it is printed as."""

    def printed(self, act: Callable[[Console], None], secret: str = KEY) -> Streams:
        with captured() as kept:
            console = Console(verbose=True)
            console.secrets.keep(secret)
            act(console)
        return kept

    def test_whatever_goes_to_stderr_is_masked(self) -> None:
        given = f"see {SIGNED} of api_token=at_1, {DATA_URI} and {KEY}"
        shown = "see https://storage.example/a/b.png?*** of api_token=***, data:image/png;base64,… (825 B) and ***"
        acts: tuple[Callable[[Console], None], ...] = (
            lambda console: console.note(given),
            lambda console: console.tell(given),
            lambda console: console.trace("<", [given]),
            lambda console: console.trace("<", [], given.encode()),
        )
        for number, act in enumerate(acts):
            self.assertEqual(self.printed(act).err.text.strip("< \n"), shown, number)

    def test_a_key_at_a_cut_is_masked(self) -> None:
        acts: tuple[tuple[int, Callable[[Console, str], None]], ...] = (
            (MAX_NOTE, Console.note),
            (MAX_BODY, lambda console, text: console.trace("<", [text])),
            (MAX_BODY, lambda console, text: console.trace("<", [], text.encode())),
            (MAX_MESSAGE, lambda console, text: console.error({"error": text, "example": "x"})),
        )
        for limit, act in acts:
            for start in range(limit - len(KEY) - 5, limit + 1, 7):
                text = "x" * start + KEY + "y" * 100
                with self.subTest(start):
                    kept = self.printed(lambda console: act(console, text))  # noqa: B023
                    self.assertNotIn("key_", kept.err.text)

    def test_a_key_at_the_cut_of_a_long_answer_is_masked(self) -> None:
        secrets = Secrets()
        secrets.keep(KEY)
        for spaces in range(20 * MAX_EXCERPT - len(KEY) - 5, 20 * MAX_EXCERPT + 1, 7):
            with self.subTest(spaces):
                self.assertNotIn("key_", excerpt(b" " * spaces + KEY.encode() + b" y" * 100, secrets.mask))

    def test_a_key_in_disguise_is_masked_wherever_it_is_printed(self) -> None:
        for name, text in disguises(KEY).items():
            for act in (
                lambda console: console.note(text),  # noqa: B023
                lambda console: console.trace("<", [text], json.dumps({"a": text}).encode()),  # noqa: B023
                lambda console: console.trace("<", [], text.encode()),  # noqa: B023
                lambda console: console.error({"error": "x", "more": {text: [text]}, "example": "x"}),  # noqa: B023
                lambda console: console.result({"error": text}),  # noqa: B023
                lambda console: console.note(excerpt(f"<html>{text}".encode(), console.mask)),  # noqa: B023
            ):
                with self.subTest(name):
                    kept = self.printed(act)
                    self.assertLess(len(kept.err.text + kept.out.text), 120)

    def test_what_hides_on_a_terminal_is_made_visible(self) -> None:
        text = "a\u061cb\U000e0041\U000e0001\u200e"
        with captured(out_is_terminal=True, err_is_terminal=True) as kept:
            Console().result({"a": text})
            Console(format="table").rows([{"name": text}], NAMES[:1])
            Console().note(text)
        self.assertIn(r"a\u061cb\udb40\udc41", kept.out.text)
        self.assertEqual(json.loads(kept.out.text.partition("}")[0] + "}"), {"a": text})
        self.assertEqual(
            [kept.out.lines[-1], kept.err.text], ["a\ufffdb\ufffd\ufffd\ufffd", "a\ufffdb\ufffd\ufffd\ufffd\n"]
        )

    def test_the_login_of_a_proxy_is_a_secret(self) -> None:
        proxy = {"https_proxy": "http://ada:p%40ss-word@proxy.example:8080"}
        with mock.patch.dict("os.environ", proxy), captured() as kept:
            console = Console()
            for secret in client.secrets():
                console.secrets.keep(secret)
            console.note(f"407 ada:p@ss-word p%40ss-word {b64encode(b'ada:p@ss-word').decode()} of ada")
        self.assertEqual(kept.err.text, "407 *** *** ***A== of ada\n")

    def test_an_error_stays_json_whatever_is_masked(self) -> None:
        document = {
            "error": f"the image {DATA_URI} and {SIGNED} of {KEY}",
            "fields": {"a": {"b": 1}, "c": 2},
            "sessionKey": {"a": 1},
            "issues": [{"field": "sessionKey", "messages": [SIGNED]}],
            "example": "runway-cli auth status",
        }
        shown = json.loads(self.printed(lambda console: console.error(document)).err.text)
        self.assertEqual(
            shown["error"], "the image data:image/png;base64,… (825 B) and https://storage.example/a/b.png?*** of ***"
        )
        self.assertEqual(shown["sessionKey"], "***")
        self.assertEqual(shown["issues"], [{"field": "sessionKey", "messages": [masking.text(SIGNED)]}])

    def test_what_is_nested_too_deeply_does_not_hide_the_rest_of_an_error(self) -> None:
        for depth in (200, 900, 100_000):
            deep: Any = "x"
            for _ in range(depth):
                deep = [deep]
            with captured() as kept:
                Console().error({"error": "bad", "more": deep, "example": "x"})
            shown = json.loads(kept.err.text)
            self.assertEqual((shown["error"], shown["example"]), ("bad", "x"))
            self.assertIn(masking.TOO_DEEP, kept.err.text)


class RandomKeys(unittest.TestCase):
    """A key does not appear, and no part of it that is longer than 8 characters."""

    def check(self, key: str, text: str) -> None:
        plain = " ".join(text.replace("\\", "").split())
        wanted = " ".join(key.replace("\\", "").split())
        for start in range(len(wanted) - 9):
            piece = wanted[start : start + 9]
            if len(set(piece)) > 4:
                self.assertNotIn(piece, plain, f"a part of {key!r}")

    def test_a_key_does_not_appear_on_either_stream(self) -> None:
        chance = random.Random(23)
        for _ in range(150):
            key = random_key(chance).replace("..", ".é")  # a path has no empty part
            text = f"{'x' * chance.randrange(1100)} {key} {'y' * chance.randrange(90)}"
            rows = [{"id": "a", "name": text, "preview": f"https://x.example/{key}?{text}", key: [key, {"a": text}]}]
            columns = [*NAMES, Column(key, key), Column("Wrapped", key, wrap=True)]
            terminals = {"out_is_terminal": chance.random() < 0.5, "err_is_terminal": chance.random() < 0.5}
            with captured(columns=chance.randrange(9, 120), **terminals) as kept:
                select = chance.choice([None, "name", f"name,{key}"])
                console = Console(format=chance.choice(FORMATS), select=parse(select) if select else None, verbose=True)
                console.secrets.keep(key)
                lines = live(console)
                if lines:
                    lines.show([[text], (key, f"{key} {key}", key, key), [f"{key} {key}"]])
                console.note(text)
                console.trace(">", [text], text.encode())
                console.trace("<", [], json.dumps({"a": [text], key: key}).encode())
                console.rows(rows, columns, is_cut=False, **{key: key})
                console.row(rows[0], alone=True)
                console.end_rows(columns)
                console.write(f"{key}\n")
                console.error(
                    {"error": text, "issues": [{"field": key, "messages": [text, key]}], "example": f"x {key}"}
                )
            self.check(key, kept.out.text + kept.err.text)
