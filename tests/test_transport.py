"""One HTTP exchange: what is sent, what counts as an answer, and what is said when none comes."""

from __future__ import annotations

import gzip
import ssl
import unittest
from functools import partial
from unittest import mock

from runway_cli.errors import NetworkError
from runway_cli.shutdown import Shutdown
from runway_cli.transport import sockets as connections
from runway_cli.transport.http import Request, Response, Stream, network_error
from runway_cli.transport.sockets import Exchange, FinalResponse
from tests.loopback import Conversation, Script, Server, answering, eventually, make_transport

INTERIM = b"HTTP/1.1 %d Wait\r\nLink: </style.css>; rel=preload\r\n\r\n"
KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{}"


class TransportTest(unittest.TestCase):
    """`server` follows the script that the test starts it with."""

    def setUp(self) -> None:
        self.transport = make_transport()
        self.addCleanup(self.transport.close)

    def start(self, script: Script) -> Server:
        server = Server(script)
        self.addCleanup(server.__exit__)
        self.server = server
        return server

    def send(self, method: str = "GET", body: bytes | None = None, timeout: float = 20, path: str = "/x") -> Response:
        return self.transport.send(Request(method, self.server.url + path, {"X-Test": "1"}, body), timeout)

    def stream(self) -> Stream:
        stream = self.transport.stream(Request("GET", self.server.url + "/file", {}), 20)
        self.addCleanup(stream.close)
        return stream

    def failure(self, method: str = "POST", url: str | None = None) -> NetworkError:
        """The NetworkError of one exchange."""
        body = b"{}" if method == "POST" else None
        with self.assertRaises(NetworkError) as caught:
            self.transport.send(Request(method, self.server.url if url is None else url, {}, body), 20)
        return caught.exception


class RequestTest(TransportTest):
    def test_a_post_is_sent_as_http_asks_for(self) -> None:
        self.start(answering())
        self.send("POST", b'{"a": 1}', path="/v1/x?q=1#fragment")
        lines = self.server.heads[0].split("\r\n")
        self.assertEqual(lines[0], "POST /v1/x?q=1 HTTP/1.1")
        for header in (f"Host: 127.0.0.1:{self.server.port}", "Content-Length: 8", "Connection: close", "X-Test: 1"):
            self.assertIn(header, lines)
        self.assertEqual(self.server.bodies, [b'{"a": 1}'])

    def test_a_post_without_a_body_says_so(self) -> None:
        self.start(answering())
        self.send("POST")
        self.assertIn("Content-Length: 0\r\n", self.server.heads[0])

    def test_a_get_or_delete_without_a_body_has_no_length(self) -> None:
        self.start(answering())
        for method in ("GET", "DELETE"):
            with self.subTest(method):
                self.send(method)
                self.assertNotIn("Content-Length", self.server.heads[-1])

    def test_a_url_without_a_path_asks_for_the_root(self) -> None:
        self.start(answering())
        self.send(path="?q=1")
        self.assertTrue(self.server.heads[0].startswith("GET /?q=1 HTTP/1.1\r\n"), self.server.heads)

    def test_a_url_that_cannot_be_used_is_refused_before_anything_is_sent(self) -> None:
        self.start(answering())
        here = self.server.url
        for url, words in {
            "": "neither http nor https",
            "x": "neither http nor https",
            "file:///etc/passwd": "neither http nor https",
            "https://": "has no host",
            "http:///x": "has no host",
            "https://[::1/x": "cannot be read",
            "https://host:port/": "cannot be read",
            "https://host:99999/": "cannot be read",
            "https://host:0/": "port 0",
            "http://ada:secret@127.0.0.1/": "user name",
            here + "/a b": "a space",
            here + "/a\r\nX-Injected: 1": "control character",
            here + "/ü": "not ASCII",
            here + "/\udcff": "not ASCII",
            "http://\u2100.example/": "not ASCII",
            "https://a..example/": "label",
            f"https://{'a' * 64}.example/": "label",
        }.items():
            with self.subTest(url):
                failure = self.failure(url=url)
                self.assertIn(words, failure.message)
                self.assertFalse(failure.maybe_received)
                self.assertTrue(failure.permanent)
        self.assertEqual(self.server.accepted, 0)

    def test_a_header_that_cannot_be_sent_was_never_a_request(self) -> None:
        self.start(answering())
        for value in ("a\r\nX-Injected: 1", "\u20ac"):
            with self.subTest(value), self.assertRaises(NetworkError) as caught:
                self.transport.send(Request("POST", self.server.url, {"X-Test": value}, b"{}"), 20)
            self.assertFalse(caught.exception.maybe_received)
        self.assertEqual(self.server.heads, [])


class AnswerTest(TransportTest):
    def test_every_status_is_an_answer(self) -> None:
        for status in (200, 302, 404, 500):
            with self.subTest(status):
                self.start(answering(b"HTTP/1.1 %d X\r\nLocation: /y\r\nContent-Length: 2\r\n\r\n{}" % status))
                response = self.send()
                self.assertEqual(response.status, status)
                self.assertEqual(response.headers["location"], "/y")
                self.assertEqual(response.body, b"{}")

    def test_interim_answers_are_not_the_answer(self) -> None:
        for statuses in ((100,), (102,), (103,), (100, 102, 103, 103, 199)):
            with self.subTest(statuses):
                interim = b"".join(INTERIM % status for status in statuses)
                self.start(answering(interim + b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"id": "x"}'))
                self.assertEqual(self.send("POST", b"{}").body, b'{"id": "x"}')
                self.assertEqual(self.stream().status, 200)

    def test_a_switch_of_protocols_is_an_answer(self) -> None:
        self.start(answering(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"))
        self.assertEqual(self.send().status, 101)

    def test_chunks_and_an_end_by_closing_are_bodies_too(self) -> None:
        for answer in (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n\r\nabcde",
        ):
            with self.subTest(answer):
                self.start(answering(answer))
                self.assertEqual(self.send().body, b"abcde")
                self.assertEqual(b"".join(iter(partial(self.stream().read, 2), b"")), b"abcde")

    def test_gzip_that_was_not_asked_for_is_unpacked(self) -> None:
        content = gzip.compress(b'{"a": 1}')
        self.start(answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n" + content))
        self.assertEqual(self.send().body, b'{"a": 1}')

    def test_damaged_gzip_is_not_an_answer(self) -> None:
        for content in (b"{}", gzip.compress(b"{}")[:-3], gzip.compress(b"{}") + b"x"):
            with self.subTest(content):
                self.start(answering(b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + content))
                self.assertIn("its gzip content is", self.failure().message)


class NoAnswerTest(TransportTest):
    """A request that was sent may have been received, whatever came instead of an answer."""

    def test_an_answer_that_breaks_off_is_not_an_answer(self) -> None:
        for answer, words in {
            b"": "closed without an answer",
            b"HTTP/1.1 200 OK\r\nX": "cut off",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}": "cut off, 7 bytes are missing",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n": "cut off",
            b"HTTP/1.1 103 Early Hints\r\n\r\n": "closed without an answer",
            b"hello\r\n\r\n": "the answer is not HTTP",
            b"HTTP/1.1 abc\r\n\r\n": "the answer is not HTTP",
            b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 200 + b"\r\n": "the answer is not HTTP",
        }.items():
            with self.subTest(answer):
                self.start(answering(answer))
                failure = self.failure()
                self.assertIn(words, failure.message)
                self.assertTrue(failure.message.startswith(f"127.0.0.1:{self.server.port}: "), failure.message)
                self.assertTrue(failure.maybe_received)
                self.assertFalse(failure.permanent)

    def test_a_reset_after_the_request_may_have_been_received(self) -> None:
        def script(conversation: Conversation) -> None:
            conversation.read_request()
            conversation.reset()

        self.start(script)
        self.assertTrue(self.failure().maybe_received)

    def test_a_port_where_nobody_listens_was_never_a_request(self) -> None:
        self.start(answering())
        self.server.__exit__()
        failure = self.failure()
        self.assertIn("refused", failure.message)
        self.assertFalse(failure.maybe_received)
        self.assertFalse(failure.permanent)

    def test_an_answer_larger_than_the_memory_may_have_been_accepted(self) -> None:
        self.start(answering())
        for error in (MemoryError(), OverflowError("too large")):
            with self.subTest(error), mock.patch.object(FinalResponse, "read", side_effect=error):
                failure = self.failure()
                self.assertIn("larger than this machine's memory", failure.message)
                self.assertTrue(failure.maybe_received)

    def test_a_tls_error_without_a_reason_is_reported(self) -> None:
        error = ssl.SSLError(1, "protocol error")
        self.assertFalse(getattr(error, "reason", None))
        failure = network_error(error, Exchange(Shutdown(), 1))
        self.assertEqual(failure.message, "TLS failed (protocol error)")

    def test_a_server_that_refuses_an_upload_early_is_heard(self) -> None:
        def script(conversation: Conversation) -> None:
            conversation.read_head()
            conversation.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            conversation.wait(0.5)
            conversation.connection.shutdown(1)

        self.start(script)
        pieces = (b"x" * 65536 for _ in range(200))
        request = Request("POST", self.server.url, {"Content-Length": str(200 * 65536)}, pieces)
        with self.transport.stream(request, 20) as answer:
            self.assertEqual(answer.status, 413)


class StreamTest(TransportTest):
    def test_what_arrived_before_a_break_is_not_lost(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"

        def fin(conversation: Conversation) -> None:
            conversation.connection.close()

        for name, end in (("FIN", fin), ("RST", Conversation.reset)):
            with self.subTest(name):

                def script(conversation: Conversation, end: Script = end) -> None:
                    conversation.read_request()
                    conversation.say(head + b"x" * 5000)
                    conversation.wait(0.3)
                    end(conversation)

                self.start(script)
                stream = self.stream()
                arrived = 0
                with self.assertRaises(NetworkError) as caught:
                    while piece := stream.read(262144):
                        arrived += len(piece)
                self.assertEqual(arrived, 5000)
                self.assertTrue(caught.exception.maybe_received)

    def test_a_stream_ends_with_an_empty_piece(self) -> None:
        self.start(answering())
        stream = self.stream()
        self.assertEqual(stream.read(10), b"{}")
        self.assertEqual(stream.read(10), b"")
        self.assertEqual(stream.read(10), b"")

    def test_an_upload_arrives_whole(self) -> None:
        self.start(answering())
        pieces = [bytes([number]) * 300_000 for number in range(5)]
        request = Request("POST", self.server.url, {"Content-Length": "1500000"}, iter(pieces))
        with self.transport.stream(request, 20) as answer:
            self.assertEqual(answer.status, 200)
        self.assertEqual(self.server.bodies, [b"".join(pieces)])


class ConnectionTest(TransportTest):
    """One that a GET has left serves the next GET, and no other request can be lost with one."""

    def test_only_a_get_uses_what_a_get_has_left(self) -> None:
        self.start(answering(KEPT, times=10))
        for method, accepted in (("GET", 1), ("GET", 1), ("POST", 2), ("PATCH", 3), ("PUT", 4), ("DELETE", 5)):
            self.send(method)
            self.assertEqual(self.server.accepted, accepted, method)
        self.send("GET")
        self.assertEqual(self.server.accepted, 5)

    def test_each_request_on_one_connection_asks_for_its_own_path(self) -> None:
        self.start(answering(KEPT, times=10))
        for path in ("/a", "/b?c=d"):
            self.send(path=path)
        self.assertEqual([head.split()[1] for head in self.server.heads], ["/a", "/b?c=d"])
        self.assertEqual(self.server.accepted, 1)

    def test_one_that_the_server_has_closed_is_not_used_again(self) -> None:
        self.start(answering(KEPT))
        self.send()
        self.wait_until_stale()
        self.send()
        self.assertEqual(self.server.accepted, 2)

    def test_one_on_which_something_unasked_arrived_is_not_used_again(self) -> None:
        def script(conversation: Conversation) -> None:
            conversation.read_request()
            conversation.say(KEPT)
            conversation.wait(0.1)
            conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]")
            conversation.wait()

        self.start(script)
        self.send()
        self.wait_until_stale()
        self.assertEqual(self.send().body, b"{}")
        self.assertEqual(self.server.accepted, 2)

    def test_one_that_was_idle_for_long_is_not_used_again(self) -> None:
        self.start(answering(KEPT, times=10))
        self.send()
        with mock.patch.object(connections, "MAX_IDLE", 0):
            self.send()
        self.assertEqual(self.server.accepted, 2)

    def test_none_is_kept_after_an_answer_that_was_cut_off(self) -> None:
        self.start(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"))
        self.failure("GET")
        self.assertEqual(self.kept(), [])

    def test_none_is_open_after_close(self) -> None:
        self.start(answering(KEPT, times=10))
        self.send()
        self.assertEqual(len(self.kept()), 1)
        self.transport.close()
        self.assertEqual(self.kept(), [])

    def kept(self) -> list[connections.Connection]:
        return [one for kept in self.transport._pool._kept.values() for one in kept]

    def wait_until_stale(self) -> None:
        """Waits until what the server did with the kept connection has arrived."""
        (kept,) = self.kept()
        with mock.patch.object(connections, "MAX_IDLE", 3600):
            eventually(lambda: not kept.is_fresh())


if __name__ == "__main__":
    unittest.main()
