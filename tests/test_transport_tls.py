"""Exchanges over TLS and through proxies, with real certificates."""

from __future__ import annotations

import base64
import os
import select
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

from runway_cli.errors import ConfigError, Interrupted, NetworkError
from runway_cli.shutdown import Shutdown
from runway_cli.transport.http import Request, Response, Transport
from runway_cli.transport.sockets import Address, proxy_for
from tests.certificates import FUTURE, PAST, Authority
from tests.loopback import OK, WINE, Conversation, Script, Server, SilentListener, answering, content_length

HOST = "api.example.test"  # known to the proxy alone
VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


class SecureTest(unittest.TestCase):
    """One authority, which only SSL_CERT_FILE makes trusted."""

    folder: Path
    authority: Authority
    good: tuple[str, str]

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.authority = Authority(cls.folder, "authority")
        cls.good = cls.authority.certificate("good", f"DNS:localhost,DNS:{HOST}")

    def setUp(self) -> None:
        surroundings = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        patch = mock.patch.dict(os.environ, {**surroundings, "SSL_CERT_FILE": self.authority.path}, clear=True)
        patch.start()
        self.addCleanup(patch.stop)
        self.shutdown = Shutdown()
        self.transport = Transport(self.shutdown)
        self.addCleanup(self.transport.close)

    def start(self, script: Script, certificate: tuple[str, str] | None = None) -> Server:
        server = Server(script, certificate or self.good)
        self.addCleanup(server.__exit__)
        return server

    def post(self, url: str, timeout: float = 20) -> Response:
        return self.transport.send(Request("POST", url, {}, b"{}"), timeout)

    def failure(self, url: str, timeout: float = 20) -> NetworkError:
        with self.assertRaises(NetworkError) as caught:
            self.post(url, timeout)
        return caught.exception


class TlsTest(SecureTest):
    def test_a_download_is_read_a_record_at_a_time(self) -> None:
        for echo in (b"", b"Connection: close\r\n"):
            with self.subTest(echo):

                def script(conversation: Conversation, echo: bytes = echo) -> None:
                    conversation.read_request()
                    conversation.say(b"HTTP/1.1 200 OK\r\n" + echo + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000)

                with self.transport.stream(Request("GET", self.start(script).url, {}), 20) as stream:
                    pieces = list(iter(lambda: len(stream.read(1 << 18)), 0))
                self.assertEqual(sum(pieces), 100_000)
                self.assertLessEqual(max(pieces), 16 * 1024)

    def test_an_exchange_over_tls(self) -> None:
        server = self.start(answering())
        self.assertEqual(self.post(server.url).body, b"{}")
        self.assertIn(f"Host: localhost:{server.port}\r\n", server.heads[0])

    def test_a_bad_certificate_is_permanent_and_nothing_was_sent(self) -> None:
        other = Authority(self.folder, "other")
        for certificate, words in (
            (other.certificate("leaf", "DNS:localhost"), "issued by an authority that is not trusted"),
            (other.self_signed(), "its certificate is self-signed"),
            (self.authority.certificate("old", "DNS:localhost", PAST), "its certificate has expired"),
            (self.authority.certificate("new", "DNS:localhost", FUTURE), "its certificate is not valid yet"),
            (self.authority.certificate("else", "DNS:else.example"), "is for another host name"),
        ):
            with self.subTest(words):
                server = self.start(answering(), certificate)
                failure = self.failure(server.url)
                self.assertIn(": not trusted, ", failure.message)
                self.assertIn(words, failure.message)
                self.assertTrue(failure.permanent)
                self.assertFalse(failure.maybe_received)
                self.assertEqual(server.heads, [])

    def test_the_advice_fits_the_platform(self) -> None:
        server = self.start(answering(), Authority(self.folder, "unknown").certificate("leaf", "DNS:localhost"))
        for platform, advice in (("linux", "SSL_CERT_FILE can name"), ("darwin", "Install Certificates.command")):
            with self.subTest(platform), mock.patch("sys.platform", platform):
                self.assertIn(advice, self.failure(server.url).message)

    def test_authorities_that_cannot_be_read_are_a_matter_of_the_environment(self) -> None:
        unreadable = mock.patch("ssl.create_default_context", side_effect=ssl.SSLError("bad file"))
        with unreadable, self.assertRaises(ConfigError) as caught:
            self.post("https://localhost:9/")
        self.assertIn("SSL_CERT_FILE", caught.exception.message)

    def test_a_server_without_tls_was_never_sent_the_request(self) -> None:
        server = Server(answering())
        self.addCleanup(server.__exit__)
        failure = self.failure(f"https://localhost:{server.port}", 2)
        self.assertFalse(failure.maybe_received)
        self.assertFalse(failure.permanent)

    def test_a_handshake_that_never_ends_was_never_a_request(self) -> None:
        with SilentListener() as listener:
            failure = self.failure(f"https://localhost:{listener.address[1]}", 0.4)
        self.assertTrue(failure.message.endswith(": no complete answer within 0.4 s (no connection)"), failure.message)
        self.assertFalse(failure.maybe_received)

    def test_a_handshake_that_takes_longer_than_a_slice_succeeds(self) -> None:
        server = self.start(answering())
        assert server.tls
        wrap = server.tls.wrap_socket

        def late(connection: socket.socket, server_side: bool) -> ssl.SSLSocket:
            time.sleep(0.7)
            return wrap(connection, server_side=server_side)

        with mock.patch.object(server.tls, "wrap_socket", late):
            self.assertEqual(self.post(server.url).status, 200)

    def test_an_answer_that_takes_longer_than_a_slice_is_read(self) -> None:
        def script(conversation: Conversation) -> None:
            conversation.read_request()
            for piece in (OK[:20], OK[20:-1], OK[-1:]):
                time.sleep(0.4)
                conversation.say(piece)

        self.assertEqual(self.post(self.start(script).url).body, b"{}")

    def test_a_signal_ends_a_handshake(self) -> None:
        with SilentListener() as listener:
            timer = threading.Timer(0.4, self.shutdown.notice, (signal.SIGINT,))
            timer.start()
            start = time.monotonic()
            with self.assertRaises(Interrupted) as caught:
                self.post(f"https://localhost:{listener.address[1]}", 60)
            self.assertLess(time.monotonic() - start, 1.4)
            timer.join()
        self.assertFalse(caught.exception.fact("maybe_received"))

    def test_an_answer_that_is_cut_off_may_have_been_accepted(self) -> None:
        server = self.start(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"))
        failure = self.failure(server.url)
        self.assertIn("cut off", failure.message)
        self.assertTrue(failure.maybe_received)

    @unittest.skipIf(sys.platform == "win32", WINE)
    def test_an_upload_that_is_read_slowly_arrives_whole(self) -> None:
        received: list[bytes] = []

        def script(conversation: Conversation) -> None:
            head = conversation.read_head()
            received.append(b"")
            for number, piece in enumerate(conversation.read_body(head, 16384)):
                received[0] += piece
                time.sleep(0.03 if number < 60 else 0)
            self.assertEqual(len(received[0]), content_length(head))
            conversation.say(OK)

        content = os.urandom(2_000_000)
        pieces = [content[start : start + 524288] for start in range(0, len(content), 524288)]
        request = Request("POST", self.start(script).url, {"Content-Length": str(len(content))}, pieces)
        with self.transport.stream(request, 1.0) as stream:
            self.assertEqual(stream.status, 200)
        self.assertEqual(received, [content])

    def test_the_context_is_made_once(self) -> None:
        server = self.start(answering())
        with mock.patch("ssl.create_default_context", side_effect=ssl.create_default_context) as made:
            for _ in range(3):
                self.post(server.url)
        self.assertEqual(made.call_count, 1)


class Proxy:
    """The script of a proxy behind which every name leads to one server."""

    def __init__(self, behind: Server, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> None:
        self.behind = behind
        self.answer = answer

    def __call__(self, conversation: Conversation) -> None:
        conversation.read_head()
        if not self.answer:
            conversation.wait()
        conversation.say(self.answer)
        if b" 200 " not in self.answer:
            return
        with socket.create_connection(("127.0.0.1", self.behind.port)) as service:
            ends = {conversation.connection: service, service: conversation.connection}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    ends[end].sendall(data)


class ProxyTest(SecureTest):
    def proxy(self, script: Script) -> Server:
        server = Server(script)
        self.addCleanup(server.__exit__)
        os.environ["HTTPS_PROXY"] = f"http://127.0.0.1:{server.port}"
        return server

    def test_https_goes_through_a_tunnel(self) -> None:
        service = self.start(answering())
        proxy = self.proxy(Proxy(service))
        self.assertEqual(self.post(f"https://{HOST}/x").body, b"{}")
        self.assertEqual(proxy.heads[0].split("\r\n")[0], f"CONNECT {HOST}:443 HTTP/1.1")
        self.assertEqual(service.heads[0].split("\r\n")[0], "POST /x HTTP/1.1")
        self.assertIn(f"Host: {HOST}\r\n", service.heads[0])

    def test_interim_answers_of_a_proxy_are_skipped(self) -> None:
        answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Connection established\r\nVia: proxy\r\n\r\n"
        self.proxy(Proxy(self.start(answering()), answer))
        self.assertEqual(self.post(f"https://{HOST}/x").body, b"{}")

    def test_a_user_and_password_are_for_the_proxy_alone(self) -> None:
        service = self.start(answering())
        proxy = self.proxy(Proxy(service))
        os.environ["HTTPS_PROXY"] = f"http://ada:p%40ss%3Aw%C3%BCrd@127.0.0.1:{proxy.port}"
        self.post(f"https://{HOST}/x")
        login = base64.b64encode("ada:p@ss:würd".encode()).decode()
        self.assertIn(f"Proxy-Authorization: Basic {login}\r\n", proxy.heads[0])
        self.assertNotIn("Proxy-Authorization", service.heads[0])

    def test_a_proxy_that_refuses_was_never_sent_the_request(self) -> None:
        for answer in (b"407 Proxy Authentication Required", b"403 Forbidden", b"502 Bad Gateway"):
            with self.subTest(answer):
                proxy = self.proxy(Proxy(self.start(answering()), b"HTTP/1.1 " + answer + b"\r\n\r\n"))
                failure = self.failure(f"https://{HOST}/x")
                self.assertIn(f"{HOST} through the proxy 127.0.0.1:{proxy.port}: ", failure.message)
                self.assertIn(answer.decode().lower(), failure.message)
                self.assertFalse(failure.maybe_received)

    def test_a_proxy_that_says_nothing_is_bounded(self) -> None:
        self.proxy(Proxy(self.start(answering()), b""))
        failure = self.failure(f"https://{HOST}/x", 0.4)
        self.assertIn("no complete answer within 0.4 s (no connection)", failure.message)
        self.assertFalse(failure.maybe_received)

    def test_a_certificate_is_checked_through_the_tunnel(self) -> None:
        service = self.start(answering())
        self.proxy(Proxy(service))
        failure = self.failure("https://else.example.test/")
        self.assertIn("its certificate is for another host name", failure.message)
        self.assertTrue(failure.permanent)
        self.assertEqual(service.heads, [])

    def test_what_is_lost_behind_the_proxy_may_have_been_accepted(self) -> None:
        self.proxy(Proxy(self.start(answering(b""))))
        self.assertTrue(self.failure(f"https://{HOST}/x").maybe_received)


class ProxySettingsTest(unittest.TestCase):
    """Which proxy is used, without a network."""

    def found(self, environment: dict[str, str], url: str = f"https://{HOST}/") -> str | None:
        """The name of the proxy for a URL."""
        with mock.patch.dict(os.environ, environment, clear=True):
            proxy = proxy_for(Address(url))
            return proxy.name if proxy else None

    def test_both_spellings_of_the_variable_count(self) -> None:
        for environment, name in (
            ({}, None),
            ({"HTTPS_PROXY": "http://a:1"}, "a:1"),
            ({"https_proxy": "http://b:2"}, "b:2"),
            ({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:2"}, "b:2"),
            ({"HTTPS_PROXY": "c"}, "c:80"),
            ({"HTTPS_PROXY": "http://user:pw@d:3"}, "d:3"),
            ({"HTTP_PROXY": "http://a:1"}, None),
        ):
            with self.subTest(environment), mock.patch("sys.platform", "linux"):
                if len(environment) < 2 or os.name != "nt":  # there the two are one variable
                    self.assertEqual(self.found(environment), name)

    def test_loopback_and_http_never_use_one(self) -> None:
        for url in ("https://localhost/", "https://127.0.0.9/", "https://[::1]/", "http://a.example/"):
            with self.subTest(url):
                self.assertIsNone(self.found({"HTTPS_PROXY": "http://a:1"}, url))

    def test_no_proxy_names_hosts_that_are_reached_directly(self) -> None:
        for value, name in ((HOST, None), ("example.test", None), ("*", None), ("other.test", "a:1"), ("", "a:1")):
            with self.subTest(value):
                self.assertEqual(self.found({"HTTPS_PROXY": "http://a:1", "NO_PROXY": value}), name)

    def test_a_variable_that_cannot_be_used_is_named(self) -> None:
        for value in (
            "https://a:1",
            "socks5://a:1",
            "http://",
            "http://a:0",
            "http://a:port",
            "http://a:99999",
            "http://[::1",
        ):
            with self.subTest(value), self.assertRaises(ConfigError) as caught:
                self.found({"https_proxy": value})
            words = "https_proxy is not an http:// proxy such as http://proxy.example:8080"
            self.assertEqual(caught.exception.message, words)
            self.assertEqual(caught.exception.fact("variable"), "https_proxy")

    def test_settings_of_the_system_that_cannot_be_used_are_not_called_a_variable(self) -> None:
        with self.assertRaises(ConfigError) as caught:
            self.found_by_system("socks5://a:1")
        self.assertTrue(caught.exception.message.startswith("the system's proxy settings "), caught.exception.message)
        self.assertIsNone(caught.exception.fact("variable"))

    def test_settings_of_the_system_may_carry_the_scheme_of_the_request(self) -> None:
        self.assertEqual(self.found_by_system("https://proxy.example:8080"), "proxy.example:8080")

    def found_by_system(self, url: str) -> str | None:
        """The proxy's name where no variable is set and the settings of Windows, as urllib reports them, hold a URL."""
        settings = mock.patch.multiple("urllib.request", getproxies=lambda: {"https": url}, proxy_bypass=lambda _: 0)
        with mock.patch("sys.platform", "win32"), settings:
            return self.found({})


if __name__ == "__main__":
    unittest.main()
