"""Answers as no service should give them: each is printed faithfully, or refused with a clear error."""

from __future__ import annotations

import gzip
import json

from tests.fake import Fault
from tests.program import Result
from tests.served import ServiceTest

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = gzip.compress(b'{"id":"fox"}')


def framed(body: bytes, *headers: bytes, length: int | None = None) -> bytes:
    """An answer as it goes over the wire, its Content-Length true unless `length` says otherwise."""
    count = len(body) if length is None else length
    return HEAD + b"".join(header + b"\r\n" for header in headers) + b"Content-Length: %d\r\n\r\n" % count + body


class BodyTest(ServiceTest):
    """`request GET` and `request POST` on every kind of body."""

    def get(self, raw: bytes) -> Result:
        """GET, answered by these bytes."""
        self.forget()
        self.fake.fault(Fault("raw", body=raw), times=None)
        return self.request("GET", "/v1/anything", "--retries", "0", "--timeout", "20")

    def test_what_is_json_is_printed_as_it_came(self) -> None:
        for name, body in {
            "numbers that a float would round": b"[1e400,-0,-0.0,1.10,1E5,0.1e-7,12345678901234567890,1.0,1e0]",
            "numbers beside their like": b'[1.0,1.00,1,"1e400",1e400,"\\"1e400\\""]',
            "a number of 6,000 digits": b'{"n":' + b"9" * 6000 + b"}",
            "a fraction of 6,000 digits": b'{"n":0.' + b"3" * 6000 + b"}",
            "nesting that is deep but fine": b"[" * 900 + b"]" * 900,
            "characters of all kinds": '["ü","🦊","\u00a0","\\u0000","\\"","/"]'.encode(),
            "keys out of order": b'{"z":1,"a":{"y":2,"b":3}}',
            "null": b"null",
        }.items():
            with self.subTest(name):
                result = self.get(framed(body))
                self.assertEqual((result.exit, result.raw), (0, body + b"\n"), result)

    def test_spelling_that_json_leaves_open_may_change_and_nothing_else(self) -> None:
        for name, body, printed in (
            ("a byte order mark", b'\xef\xbb\xbf{"a":1}', '{"a":1}'),
            ("white space", b' \r\n{ "a" : [ 1 , 2 ] }\n\n', '{"a":[1,2]}'),
            ("escapes", b'["\\u00fc\\ud83e\\udd8a\\/"]', '["\u00fc\U0001f98a/"]'),
            (
                "halves of surrogate pairs",
                b'["\\ud800","\\udfff x",{"a\\udc80":1}]',
                '["\ufffd","\ufffd x",{"a\ufffd":1}]',
            ),
            ("controls that would steer a terminal", '["\x7f\x9b31m\u2028"]'.encode(), '["\\u007f\\u009b31m\\u2028"]'),
        ):
            with self.subTest(name):
                result = self.get(framed(body))
                self.assertEqual((result.exit, result.stdout), (0, printed + "\n"), result)

    def test_what_is_no_json_is_refused_and_may_have_been_accepted(self) -> None:
        for name, body, words in (
            ("Latin-1", '{"name":"M\u00fcller"}'.encode("latin-1"), "not UTF-8 (byte 11 is 0xfc)"),
            ("UTF-16", '{"a":1}'.encode("utf-16"), "not UTF-8"),
            ("100,000 brackets", b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
            ("NaN", b'{"a":NaN}', "NaN is not a JSON number"),
            ("Infinity", b"[-Infinity]", "-Infinity is not a JSON number"),
            ("half a document", b'{"id":"0123', "Unterminated string"),
            ("plain text", b"OK", "Expecting value"),
            ("an HTML page", b"<html><style>p{}</style><h1>Down for<br>maintenance</h1>", ": Down for maintenance"),
        ):
            with self.subTest(name):
                result = self.get(framed(body))
                self.assert_error(result, 1, kind="api", status=200)
                self.assertIn("the answer is not JSON (", result.error["error"])
                self.assertIn(words, result.error["error"])
                self.assertLess(len(result.error["error"]), 500)
        self.fake.requests.clear()
        result = self.request("POST", "/v1/text_to_image", "--body", "{}")
        self.assert_error(result, 1, maybeAccepted=True)
        self.assertEqual(len(self.fake.requests), 1)

    def test_an_answer_that_is_not_whole_is_no_answer(self) -> None:
        for name, raw, words in (
            ("a body too short", framed(b'{"a":1}', length=100), "cut off, 93 bytes are missing"),
            ("a length beyond all memory", framed(b"{}", length=10**30), "not HTTP"),
            ("half the status line", b"HTTP/1.1 20", "not HTTP"),
            ("half the headers", HEAD + b"Content-Type: appl", "cut off"),
            ("no end of the headers", HEAD + b"Content-Type: application/json\r\n", "cut off"),
            ("chunks that end too early", CHUNKED + b'5\r\n{"a":\r\n', "cut off"),
            ("a chunk with no size", CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", "cut off"),
            ("a chunk beyond all memory", CHUNKED + b"f" * 30 + b"\r\n{}", "cut off"),
            ("no answer at all", b"", "closed connection without response"),
            ("garbage", bytes(range(255, 0, -1)) * 10, "not HTTP"),
            ("a status of words", b"HTTP/1.1 fine OK\r\n\r\n{}", "not HTTP"),
            ("a thousand headers", HEAD + b"X: y\r\n" * 1000 + b"\r\n{}", "not HTTP"),
        ):
            with self.subTest(name):
                result = self.get(raw)
                self.assert_error(result, 69, kind="network")
                self.assertRegex(result.error["error"], words)

    def test_what_is_unusual_but_whole_is_read(self) -> None:
        for name, raw, printed in (
            ("no length, ended by closing", HEAD + b"\r\n" + b'{"a":1}', '{"a":1}'),
            ("HTTP/1.0", b'HTTP/1.0 200 OK\r\n\r\n{"a":1}', '{"a":1}'),
            ("no reason phrase", b'HTTP/1.1 200\r\nContent-Length: 7\r\n\r\n{"a":1}', '{"a":1}'),
            ("bare line feeds", b'HTTP/1.1 200 OK\nContent-Length: 7\n\n{"a":1}', '{"a":1}'),
            ("more than the length says", framed(b'{"a":1}garbage', length=7), '{"a":1}'),
            ("a media type that lies", framed(b'{"a":1}', b"Content-Type: text/html"), '{"a":1}'),
            ("headers in Latin-1", framed(b'{"a":1}', b"X-Name: M\xfcller"), '{"a":1}'),
            ("only white space", framed(b" \r\n\t"), "{}"),
            ("204 that talks on", b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nno", "{}"),
            ("gzip", framed(PACKED, b"Content-Encoding: X-GZIP"), '{"id":"fox"}'),
            ("gzip of nothing", framed(b"", b"Content-Encoding: gzip"), "{}"),
            ("gzip that is none", framed(b'{"a":1}', b"Content-Encoding: gzip"), '{"a":1}'),
        ):
            with self.subTest(name):
                result = self.get(raw)
                self.assertEqual((result.exit, result.stdout), (0, printed + "\n"), result)

    def test_gzip_that_is_not_whole_is_refused(self) -> None:
        for name, body in {
            "cut off": PACKED[:-6],
            "a wrong checksum": PACKED[:-8] + b"\0" * 8,
        }.items():
            with self.subTest(name):
                result = self.get(framed(body, b"Content-Encoding: gzip"))
                self.assert_error(result, 69, kind="network")
                self.assertTrue(result.error["error"].endswith(": the gzip body is invalid"), result)
        self.assert_error(self.get(framed(b"\x0b\x01", b"Content-Encoding: br")), 1, kind="api", status=200)

    def test_an_error_is_told_whatever_its_body_is(self) -> None:
        deep = b"[" * 3000 + b"]" * 3000
        branches = b'[[{"message":"a"}],[{"errors":[[{"message":"b"}]]},{"message":"a"}]]'
        for name, body, error, issues in (
            ("no body", b"", "HTTP 418", None),
            ("HTML", b"<h1>I am a teapot</h1>", "HTTP 418: I am a teapot", None),
            ("a list", b"[1]", "HTTP 418: [1]", None),
            ("words elsewhere", b'{"message":"short and stout"}', "short and stout", None),
            ("an error in an error", b'{"error":{"message":"stout","code":"T1"}}', "stout", None),
            ("issues that are none", b'{"error":"x","issues":"many"}', "x", None),
            (
                "odd issues",
                b'{"error":"x","issues":[1,null,{},{"path":"a"},{"path":[1,null,{}],"message":7}]}',
                "x",
                [{"field": "", "messages": []}, {"field": "a", "messages": []}, {"field": "1", "messages": []}],
            ),
            (
                "a union",
                b'{"error":"x","issues":[{"path":["a",0],"message":"Invalid input","errors":%s}]}' % branches,
                "x",
                [{"field": "a.0", "messages": ["a", "b"]}],
            ),
        ):
            with self.subTest(name):
                result = self.get(framed(body).replace(b"200 OK", b"418 Teapot"))
                self.assert_error(result, 1, kind="api", status=418, error=error, issues=issues)
        with self.subTest("issues that nest without end"):
            body = b'{"error":"x","issues":[{"message":"m","path":[%s],"errors":%s}]}' % (deep, deep)
            result = self.get(framed(body).replace(b"200 OK", b"418 Teapot"))
            self.assert_error(result, 1, kind="api", status=418)

    def test_a_list_of_odd_shape_is_refused_and_not_guessed_at(self) -> None:
        for body in (b"{}", b"7", b'{"data":null}', b'{"data":{"a":1}}', b'"text"'):
            with self.subTest(body):
                self.forget()
                self.fake.fault(Fault("raw", body=framed(body)))
                result = self.request("GET", "/v1/avatars", "--paginate")
                self.assert_error(result, 1, kind="api", status=200)
                self.assertIn("the answer of /v1/avatars is not a list", result.error["error"])

    def test_a_long_answer_is_printed_whole(self) -> None:
        records = [{"id": number, "name": "ü" * 100} for number in range(20_000)]
        body = json.dumps(records, ensure_ascii=False, separators=(",", ":")).encode()
        result = self.get(framed(body))
        self.assertEqual((result.exit, result.raw == body + b"\n"), (0, True))
