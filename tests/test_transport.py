"""One HTTP exchange: what is sent, and what counts as an answer.

Answers that are cut off, not HTTP, or packed are in test_bodies; what may be sent again after a fault in test_faults.
"""

from __future__ import annotations

import gzip
import time
from functools import partial
from typing import Callable
from unittest import mock

from runway_cli.errors import NetworkError
from tests.loopback import OK, Conversation, TransportTest, answering

KEPT = OK.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")


class RequestTest(TransportTest):
    def test_only_a_request_that_may_have_a_body_tells_the_length_of_none(self) -> None:
        server = self.start(answering())
        for method, has_length in (("POST", True), ("GET", False), ("DELETE", False)):
            with self.subTest(method):
                self.transport.send(method, server.url + "?q=1", {}, timeout=20)
                self.assertTrue(server.heads[-1].startswith(f"{method} /?q=1 HTTP/1.1\r\n"))
                self.assertEqual("Content-Length: 0\r\n" in server.heads[-1], has_length)

    def test_a_url_that_cannot_be_used_is_refused_before_anything_is_sent(self) -> None:
        server = self.start(answering())
        for url, words in ((server.url + "/?a=\u2028", "latin-1"), ("https://a..example/", "label")):
            with self.subTest(url):
                failure = self.failure(partial(self.post, url))
                self.assertIn(words, failure.message)
                self.assertEqual((failure.maybe_received, failure.permanent, failure.final), (False, True, True))
        self.assertEqual(server.heads, [])

    def test_a_server_that_refuses_an_upload_early_is_heard(self) -> None:
        def script(conversation: Conversation) -> None:
            conversation.read_head()
            conversation.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            conversation.wait(0.5)
            conversation.connection.shutdown(1)

        self.assertEqual(self.upload(self.start(script).url, [b"x" * 65536] * 200), 413)


class KeptConnectionTest(TransportTest):
    """A connection serves the requests that follow soon, where that can lose nothing."""

    def send(self, *methods: str, url: str) -> None:
        for method in methods:
            self.assertEqual(self.transport.send(method, url, {}, timeout=20).body, b"{}")

    def test_gets_that_follow_one_another_share_a_connection(self) -> None:
        server = self.start(answering(KEPT, times=3))
        self.send("GET", "GET", "GET", url=server.url)
        self.assertEqual(server.accepted, 1)

    def test_a_post_never_meets_the_end_of_an_older_connection(self) -> None:
        server = self.start(answering(KEPT, times=3))
        self.send("GET", "POST", "GET", "POST", url=server.url)
        self.assertEqual(server.accepted, 3, "a GET follows a POST")

    def test_another_host_gets_a_connection_of_its_own(self) -> None:
        first, other = self.start(answering(KEPT, times=3)), self.start(answering(KEPT, times=3))
        for server in (first, other, first):
            self.send("GET", url=server.url)
        self.assertEqual((len(first.heads), len(other.heads)), (2, 1))

    def test_a_connection_that_the_server_closes_is_not_used_again(self) -> None:
        for answer in (KEPT, OK):  # the second one does not say that it stays open
            server = self.start(answering(answer))
            self.send("GET", url=server.url)
            time.sleep(0.1 if answer is KEPT else 0)
            self.send("GET", url=server.url)
            self.assertEqual(server.accepted, 2)

    def test_bytes_that_nobody_asked_for_answer_nothing(self) -> None:
        def script(conversation: Conversation) -> None:
            answering(KEPT)(conversation)
            conversation.wait(0.1)
            conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nforeign!!")
            conversation.wait()

        server = self.start(script)
        self.send("GET", url=server.url)
        time.sleep(0.4)
        self.send("GET", url=server.url)
        self.assertEqual(server.accepted, 2)

    def test_a_connection_is_not_kept_for_long(self) -> None:
        server = self.start(answering(KEPT, times=2))
        with mock.patch("runway_cli.transport.KEPT", 0.0):
            self.send("GET", "GET", url=server.url)
        self.assertEqual(server.accepted, 2)


class FrameTest(TransportTest):
    """What tells the end of a body is understood, or the answer refused: never is the frame taken for the content."""

    def bodies(self, headers: bytes, body: bytes, status: bytes = b"200 OK") -> list[bytes | str]:
        """Returns the body as `send` and as `stream` give it, or the end of the failure."""
        url = self.start(answering(b"HTTP/1.1 " + status + b"\r\n" + headers + b"\r\n" + body)).url
        reads: list[Callable[[], bytes]] = [lambda: self.post(url).body, lambda: b"".join(self.download(url))]
        found: list[bytes | str] = []
        for read in reads:
            try:
                found.append(read())
            except NetworkError as failure:
                self.assertTrue(failure.maybe_received)
                found.append(failure.message.partition(": ")[2])
        return found

    def test_a_frame_that_is_unusual_and_clear_is_understood(self) -> None:
        for headers in (
            b"Transfer-Encoding: chunked \r\n",
            b"transfer-encoding:\tChunked\t\r\n",
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: 99\r\n",
            b"Content-Length: 3 \r\n",
            b"Content-Length: 3\r\nContent-Length: 3\r\n",
        ):
            with self.subTest(headers):
                is_chunked = b"chunked" in headers.lower()
                body = b"3\r\nfox\r\n0\r\n\r\n" if is_chunked else b"fox, and more"
                self.assertEqual(self.bodies(headers, body), [b"fox", b"fox"])

    def test_a_frame_that_is_not_clear_is_a_failure(self) -> None:
        for headers in (
            *(b"Transfer-Encoding: %s\r\n" % coding for coding in (b"br", b"gzip", b"chunked, gzip")),
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: br\r\n",
            *(b"Content-Length: %s\r\n" % text for text in (b"-3", b"0x3", b"three", b"9" * 5000)),
            b"Content-Length:\r\n",
            b"Content-Length: 3\r\nContent-Length: 4\r\n",
            b"Content-Length: 3, 4\r\n",
            *(b"Transfer-Encoding : chunked\r\n", b"Odd line\r\nContent-Length: 3\r\n"),
            b"Odd: line\r\r\nContent-Length: 4\r\n",
        ):
            with self.subTest(headers[:60]):
                for found in self.bodies(headers, b"fox"):
                    named = r"(Transfer-Encoding|Content-Length): '.{0,60}'|a header line is malformed"
                    self.assertRegex(str(found), rf"^the answer is not HTTP \(({named})\)$")

    def test_a_chunk_of_no_clear_size_is_a_failure(self) -> None:
        for size in (b"-1", b"0x3", b"3_0", b"", b"f" * 5000):
            with self.subTest(size[:9]):
                found = self.bodies(b"Transfer-Encoding: chunked\r\n", size + b"\r\nfox\r\n0\r\n\r\n")
                self.assertEqual(found, ["the answer was cut off"] * 2)

    def test_gzip_within_chunks_is_unpacked(self) -> None:
        for content in (gzip.compress(b"fox"), b"fox"):
            chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
            found = self.bodies(b"Transfer-Encoding: gzip, chunked\r\n", chunks)
            self.assertEqual(found, [b"fox", content], "a download unpacks by itself")

    def test_an_answer_that_has_no_body_has_no_frame(self) -> None:
        for status in (b"204 No Content", b"304 Not Modified"):
            for headers in (b"Transfer-Encoding: chunked\r\n", b"Content-Length: nonsense\r\n"):
                self.assertEqual(self.bodies(headers, b"", status), [b"", b""])
