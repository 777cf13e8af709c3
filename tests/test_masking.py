"""What is hidden in what is shown for inspection: secrets in every encoding, signed URLs, tokens, data URIs."""

from __future__ import annotations

import html
import json
import random
import shlex
import string
import time
import unittest
from typing import Any
from urllib.parse import quote, quote_plus

from runway_cli import jsontext
from runway_cli.terminal import masking
from runway_cli.terminal.masking import Secrets

DATA_URI = "data:image/png;base64," + "iVBORw0KGgo" * 100
SHORT_URI = "data:image/png;base64,iVBORw0KGgo="
SIGNED = "https://storage.example/a/b.png?_jwt=eyJhbGciOiJIUzI1NiJ9.e30.x-y_z&w=1"
UPLOAD = {"uploadUrl": SIGNED, "fields": {"policy": "p" * 10, "key": "k"}, "runwayUri": "runway://u"}
BASE = "https://api.example/base"
ODD = "_*|\\\"'%&<> +/é狐🦊.\u00a0"


def random_key(chance: random.Random) -> str:
    """A key of 12 to 40 characters, many of them with a meaning in URLs, JSON, Markdown or a shell."""
    length = chance.randrange(12, 40)
    return "k" + "".join(chance.choice(ODD + string.ascii_letters) for _ in range(length)) + "y"


def encodings(key: str) -> dict[str, str]:
    """`key` as URLs, JSON, HTML, Python and a shell write it."""
    escaped = json.dumps(key)[1:-1]
    return {
        "plain": key,
        "URL": quote(key, safe=""),
        "path": quote(key),
        "query": quote_plus(key),
        "request line": quote(key, safe="/?%:@!$&'()*+,;=~[]-._"),
        "JSON": json.dumps(key, ensure_ascii=False)[1:-1],
        "ASCII JSON": escaped,
        "JSON with slashes": escaped.replace("/", "\\/"),
        "JSON in JSON": json.dumps(escaped)[1:-1],
        "our JSON": jsontext.dumps(key)[1:-1],
        "Python": repr(key)[1:-1],
        "HTML": html.escape(key),
        "HTML, numbers": html.escape(key).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
        "shell": shlex.quote(key).strip("'"),
    }


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
            (f"GET {BASE}/v1/x?a={quote(SIGNED, safe='')}", f"GET {BASE}/v1/x?a=https://storage.example/a/b.png?***"),
            ("GET https://api.example/base.evil?a=1", "GET https://api.example/base.evil?***"),
        ):
            with self.subTest(given):
                self.assertEqual(masking.text(given, BASE), shown)

    def test_hostile_text_takes_linear_time(self) -> None:
        for piece in (
            "http://",
            "https://a?",
            "https:\\/",
            "http" + "\\" * 50,
            "\\" * 50,
            "data:",
            "data:a/b;",
            "data:a/",
            ";a=b",
            "sessionKey ",
            "sessionKey:",
            'sessionKey"',
            "api_token=",
            "api_token=.",
            '"fields":{',
            '"fields":' + " " * 50,
            "https%3A%2F%2F",
            "https://a?" + "." * 50,
        ):
            with self.subTest(piece):
                text = piece * (400_000 // len(piece))
                start = time.process_time()
                masking.text("data:a/b" + text)
                masking.text(text)
                self.assertLess(time.process_time() - start, 2, "quadratic time would be minutes")


class Values(unittest.TestCase):
    def test_json_values(self) -> None:
        deep: Any = "x"
        for _ in range(100_000):
            deep = [deep]
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
            (deep, masking.TOO_DEEP),
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
                self.assertEqual(masking.readable_size(size), shown)


class Excerpts(unittest.TestCase):
    def test_it_is_masked_before_it_is_cut(self) -> None:
        secrets = Secrets()
        key = "key_" + "a1" * 64
        secrets.keep(key)
        for start in range(250, 310):
            shown = masking.excerpt("x" * start + key + "y" * 100, 300, secrets.mask)
            self.assertNotIn("key_", shown)
            self.assertLessEqual(len(shown), 300)

    def test_a_key_over_two_lines_of_a_text_is_masked(self) -> None:
        secrets = Secrets()
        secrets.keep("two words of a key")
        self.assertEqual(masking.excerpt("a two words\n of a key", 50, secrets.mask), "a ***")

    def test_what_fits_is_whole(self) -> None:
        self.assertEqual(masking.excerpt(" a\n b ", 3, str), "a b")
        self.assertEqual(masking.excerpt("abcd", 3, str), "ab…")


class SecretsTest(unittest.TestCase):
    def masked(self, secret: str, text: str) -> str:
        secrets = Secrets()
        secrets.keep(secret)
        return secrets.mask(text)

    def test_a_secret_is_hidden_in_every_encoding(self) -> None:
        chance = random.Random(17)
        for _ in range(400):
            key = random_key(chance)
            for name, text in encodings(key).items():
                self.assertEqual(self.masked(key, f"a {text} b"), "a *** b", f"{name} of {key!r}: {text}")

    def test_encodings_may_be_mixed(self) -> None:
        self.assertEqual(self.masked('k/+"é y', 'k/%2B\\"%c3%A9+y'), "***")

    def test_lower_case_hexadecimal_digits_are_hidden_too(self) -> None:
        self.assertEqual(self.masked("k/é?", "k%2f%c3%a9%3f"), "***")

    def test_a_secret_that_an_ascii_locale_did_not_decode_is_hidden_decoded(self) -> None:
        undecoded = "kéy-kéy".encode().decode("ascii", "surrogateescape")
        for text in ("kéy-kéy", undecoded, "k%C3%A9y-k%C3%A9y"):
            with self.subTest(text):
                self.assertEqual(self.masked(undecoded, text), "***")

    def test_half_of_a_surrogate_pair_does_no_harm(self) -> None:
        self.assertEqual(self.masked("k\ud83ey-k", "a k\ud83ey-k"), "a ***")

    def test_a_secret_that_is_part_of_another_does_not_reveal_it(self) -> None:
        secrets = Secrets()
        secrets.keep("abcdef")
        secrets.keep("abcdefghij")
        self.assertEqual(secrets.mask("abcdefghij abcdef"), "*** ***")

    def test_a_short_secret_is_hidden_where_words_are_not_data(self) -> None:
        secrets = Secrets()
        for secret in ("sho", "short", "long-enough"):
            secrets.keep(secret)
        self.assertEqual(secrets.mask("sho short long-enough"), "sho *** ***")
        self.assertEqual(secrets.mask("sho short long-enough", 8), "sho short ***")

    def test_json_values_stay_json(self) -> None:
        secrets = Secrets()
        secrets.keep("12345678")
        given = {"a12345678": ["b12345678", 12345678, 123456789.5, True, None, jsontext.loads("0.123456780"), 7]}
        self.assertEqual(secrets.mask_value(given), {"a***": ["b***", "***", "***", True, None, "***", 7]})

    def test_hostile_text_takes_linear_time(self) -> None:
        for secret in ('\\\\"\\key', "key\\\\\\", 'k"\\"\\"', "k % + é"):
            for piece in ("\\", "k\\", 'k"\\', '\\"', "%5c", "k+"):
                with self.subTest(secret=secret, piece=piece):
                    start = time.process_time()
                    self.masked(secret, piece * (200_000 // len(piece)))
                    self.assertLess(time.process_time() - start, 2, "quadratic time would be minutes")


if __name__ == "__main__":
    unittest.main()
