"""TLS as it is on a bad day: real servers, real certificates, and what a user is told."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from tests.certificates import FUTURE, PAST, Authority, openssl
from tests.fake import FakeRunway, Fault
from tests.loopback import OK, WINE, Conversation, Server, SilentListener, TransportTest, answering
from tests.program import BODY, Clock, ProgramTest, Result, call, run

POST = ("request", "POST", "/v1/text_to_image", "--body", BODY)
GET = ("request", "GET", "/v1/organization")


class Trusted(unittest.TestCase):
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
        cls.good = cls.authority.certificate("good", "DNS:localhost")


class ProgramTlsTest(Trusted, ProgramTest):
    def call(
        self, fake: FakeRunway, *words: str, clock: Clock | None = None, url: str = "", trusted: str = ""
    ) -> Result:
        """The program within this process, trusting the authority alone."""
        env = {**fake.env(), "SSL_CERT_FILE": trusted or self.authority.path}
        return call(*words, env={**env, **({"RUNWAY_SKILLS_BASE_URL": url} if url else {})}, clock=clock)

    def test_ssl_cert_file_names_the_authorities_that_are_trusted(self) -> None:
        with FakeRunway(tls=self.good) as fake:
            for result in (
                self.call(fake, *GET),
                run(*GET, env={**fake.env(), "SSL_CERT_FILE": self.authority.path}),
            ):
                self.assert_success(result, json=fake.organization, stderr="")
            self.assertEqual(len(fake.requests), 2)

    def test_bad_certificates_are_refused_once_and_nothing_is_sent(self) -> None:
        other = Authority(self.folder, "other")
        for name, files, words in (
            ("untrusted", other.certificate("leaf", "DNS:localhost"), "unable to get local issuer certificate"),
            ("self-signed", other.self_signed(), "self.signed certificate"),
            ("expired", self.authority.certificate("old", "DNS:localhost", PAST), "certificate has expired"),
            ("too new", self.authority.certificate("new", "DNS:localhost", FUTURE), "certificate is not yet valid.*"),
            ("another host", self.authority.certificate("else", "DNS:else.example"), "not valid for 'localhost'"),
        ):
            for words_of_call in (GET, POST, ("wait", "an-id")):
                with self.subTest(name, call=words_of_call), FakeRunway(tls=files) as fake:
                    clock = Clock()
                    result = self.call(fake, *words_of_call, clock=clock)
                    self.assert_error(result, 69, kind="network", maybeAccepted=None)
                    self.assertRegex(result.error["error"], rf": its certificate is not trusted \(.*{words}\)")
                    self.assertEqual(fake.requests, [])
                    self.assertEqual(clock.slept, [])

    def test_the_advice_fits_the_platform(self) -> None:
        with FakeRunway(tls=Authority(self.folder, "unknown").certificate("leaf", "DNS:localhost")) as fake:
            for platform, advice in (
                ("linux", "SSL_CERT_FILE can name a file of additional authorities"),
                ("darwin", "Install Certificates.command"),
            ):
                with self.subTest(platform), mock.patch("sys.platform", platform):
                    self.assertIn(advice, self.call(fake, *GET).error["error"])

    def test_a_variable_that_names_no_certificates_is_reported_before_anything_is_sent(self) -> None:
        for name, content in (("empty.pem", b""), ("key.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n")):
            (self.folder / name).write_bytes(content)
        paths = {name: str(self.folder / name) for name in ("missing", "empty.pem", "key.pem", "")}
        if hasattr(os, "mkfifo"):
            paths["FIFO"] = str(self.folder / "fifo")
            os.mkfifo(paths["FIFO"])
        with FakeRunway(tls=self.good) as fake:
            for name, path in paths.items():
                with self.subTest(name):
                    result = call(*GET, env={**fake.env(), "SSL_CERT_FILE": path})
                    self.assert_error(result, 78, kind="config")
                    self.assertIn(f"SSL_CERT_FILE names no certificates: {path!r} ", result.error["error"])
            self.assertEqual(fake.requests, [])

    def test_an_empty_variable_names_nothing_and_a_file_needs_no_folder(self) -> None:
        hashed = self.folder / "hashed"
        hashed.mkdir()
        name = openssl(f"x509 -hash -noout -in {self.authority.path}", self.folder).strip()
        if not name:
            self.skipTest("openssl does not print here")
        (hashed / f"{name}.0").write_bytes(Path(self.authority.path).read_bytes())
        with FakeRunway(tls=self.good) as fake:
            for file, folder in (
                ("", f"/nonexistent{os.pathsep}{hashed}"),
                (self.authority.path, "/nonexistent"),
                (self.authority.path, ""),
            ):
                with self.subTest(file=file, folder=folder):
                    self.assert_success(call(*GET, env={**fake.env(), "SSL_CERT_FILE": file, "SSL_CERT_DIR": folder}))

    def test_an_authority_that_curl_trusts_is_trusted_by_every_python(self) -> None:
        lax = Authority(self.folder, "lax", is_lax=True)
        with FakeRunway(tls=lax.certificate("leaf", "DNS:localhost")) as fake:
            self.assert_success(self.call(fake, *GET, trusted=lax.path))
        leaf = self.authority.certificate("pinned", "DNS:localhost")
        with FakeRunway(tls=leaf) as fake:
            self.assert_success(self.call(fake, *GET, trusted=leaf[0]))  # without the authority above it

    def test_no_call_depends_on_a_file_for_the_keys_of_its_connections(self) -> None:
        with FakeRunway(tls=self.good) as fake:
            for path in ("/nonexistent/keys.log", str(self.folder), os.devnull):
                env = {**fake.env(), "SSL_CERT_FILE": self.authority.path, "SSLKEYLOGFILE": path}
                self.assert_success(call(*GET, env=env))

    def test_a_python_without_ssl_calls_nothing(self) -> None:
        without = "import sys, runpy; sys.modules['ssl'] = None; runpy.run_module('runway_cli', {}, '__main__')"
        with FakeRunway() as fake:
            self.assert_success(run(*GET, "--dry-run", env=fake.env(), start=("-c", without)))
            result = run(*POST, env=fake.env(), start=("-c", without))
            self.assertEqual(fake.requests, [])
        self.assert_error(result, 78, kind="config")
        self.assertIn("without the module ssl", result.error["error"])

    def test_without_a_handshake_nothing_was_sent_and_it_is_tried_again(self) -> None:
        with FakeRunway() as fake, Server(lambda conversation: conversation.connection.recv(5)) as breaking:
            for url in (fake.url, breaking.url):  # what is left unread makes the close of a connection an RST
                with self.subTest(url):
                    clock = Clock()
                    result = self.call(
                        fake, *POST, clock=clock, url=url.replace("http://127.0.0.1", "https://localhost")
                    )
                    self.assert_error(result, 69, kind="network", maybeAccepted=None)
                    self.assertEqual(len(clock.slept), 2)
            self.assertEqual(fake.requests, [])

    def test_an_answer_that_is_cut_off_under_tls_is_not_an_answer(self) -> None:
        with FakeRunway(tls=self.good) as fake:
            for fault in (
                Fault("half_answer", body={"id": "0123456789"}),
                Fault("raw", body=b"HTTP/1.1 200 OK\r\nX"),
                Fault("reset_after_headers"),
                Fault("reset_after_request"),
            ):
                with self.subTest(fault.kind):
                    fake.clear_faults()
                    fake.requests.clear()
                    fake.fault(fault, times=None)
                    self.assert_error(self.call(fake, *POST), 69, kind="network", maybeAccepted=True)
                    self.assertEqual(len(fake.requests), 1)


class TransportTlsTest(Trusted, TransportTest):
    """What needs a server that follows a script."""

    def setUp(self) -> None:
        super().setUp()
        patch = mock.patch.dict(os.environ, {"SSL_CERT_FILE": self.authority.path, "NO_PROXY": "localhost"})
        patch.start()
        self.addCleanup(patch.stop)

    def test_a_handshake_and_an_answer_may_take_longer_than_a_slice(self) -> None:
        def script(conversation: Conversation) -> None:
            conversation.read_request()
            for piece in (OK[:20], OK[20:-1], OK[-1:]):
                time.sleep(0.4)
                conversation.say(piece)

        server = self.start(script, self.good)
        assert server.tls
        wrap = server.tls.wrap_socket

        def late(connection: socket.socket, server_side: bool) -> ssl.SSLSocket:
            time.sleep(0.7)
            return wrap(connection, server_side=server_side)

        with mock.patch.object(server.tls, "wrap_socket", late):
            self.assertEqual(self.post(server.url).body, b"{}")
        self.assertIn(f"Host: localhost:{server.port}\r\n", server.heads[0])

    def test_a_handshake_that_never_ends_was_never_a_request(self) -> None:
        with SilentListener() as listener:
            failure = self.failure(lambda: self.post(f"https://localhost:{listener.address[1]}", 0.4))
        self.assertTrue(failure.message.endswith(": no complete answer within 0.4 s (no connection)"), failure.message)
        self.assertFalse(failure.maybe_received)

    def test_bytes_that_nobody_asked_for_answer_nothing_under_tls_either(self) -> None:
        kept = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n"

        def script(conversation: Conversation) -> None:
            conversation.read_request()
            head = kept + b"X: %s\r\n\r\n" % (b"x" * (8192 - len(kept) - 9))  # all that Python reads at first
            conversation.say(head + b"{}" + kept + b"\r\n[]")
            answering()(conversation)  # from Python 3.15 on, which reads it all and drops the rest

        server = self.start(script, self.good)
        for _ in range(2):
            self.assertEqual(self.transport.send("GET", server.url, {}, timeout=20).body, b"{}")

    def test_an_answer_without_a_length_ends_where_its_server_says_so(self) -> None:
        def script(conversation: Conversation) -> None:
            is_whole = "/whole" in conversation.read_request()
            conversation.say(b"HTTP/1.1 200 OK\r\n\r\n{}")
            if is_whole:
                conversation.connection.unwrap()  # type: ignore[attr-defined]

        url = self.start(script, self.good).url
        self.assertEqual(self.post(url + "/whole").body, b"{}")
        self.assertEqual(b"".join(self.download(url + "/whole")), b"{}")
        for read in (lambda: self.post(url), lambda: list(self.download(url))):
            failure = self.failure(read)
            self.assertTrue(failure.message.endswith(": the connection was cut off"), failure.message)
            self.assertTrue(failure.maybe_received)

    @unittest.skipIf(sys.platform == "win32", WINE)
    def test_an_upload_that_is_read_slowly_arrives_whole(self) -> None:
        received: list[bytes] = []

        def script(conversation: Conversation) -> None:
            for number, piece in enumerate(conversation.read_body(conversation.read_head(), 16384)):
                received.append(piece)
                time.sleep(0.03 if number < 60 else 0)
            conversation.say(OK)

        pieces = [os.urandom(500_000) for _ in range(4)]
        self.assertEqual(self.upload(self.start(script, self.good).url, pieces, 1.0), 200)
        self.assertEqual(b"".join(received), b"".join(pieces))
