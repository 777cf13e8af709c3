"""TLS as it is on a bad day: real servers, real certificates, and what a user is told."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from pathlib import Path
from unittest import mock

from tests.certificates import FUTURE, PAST, Authority
from tests.fake import FakeRunway, Fault
from tests.program import Clock, ProgramTest, Result, call, run

LOCAL = "DNS:localhost"
BODY = '{"model":"gen4_image","promptText":"a fox","ratio":"1280:720"}'


class TlsTest(ProgramTest):
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
        cls.good = cls.authority.certificate("good", LOCAL)

    def call(self, fake: FakeRunway, *words: str, clock: Clock | None = None, trusted: str | None = None) -> Result:
        """The program within this process, trusting the authority alone."""
        env = {**fake.env(), "SSL_CERT_FILE": self.authority.path if trusted is None else trusted}
        return call(*words, env=env, clock=clock)

    def test_ssl_cert_file_names_the_authorities_that_are_trusted(self) -> None:
        with FakeRunway(tls=self.good) as fake:
            env = {**fake.env(), "SSL_CERT_FILE": self.authority.path}
            for result in (
                call("request", "GET", "/v1/organization", env=env),
                run("request", "GET", "/v1/organization", env=env),
            ):
                self.assertEqual(result.exit, 0, result)
                self.assertEqual(result.json, fake.organization, result)
                self.assertEqual(result.stderr, "", result)
            self.assertEqual(len(fake.requests), 2)

    def test_bad_certificates_are_refused_once_and_nothing_is_sent(self) -> None:
        other = Authority(self.folder, "other")
        for name, files, words in (
            ("untrusted", other.certificate("leaf", LOCAL), "issued by an authority that is not trusted"),
            ("self-signed", other.self_signed(), "its certificate is self-signed"),
            ("expired", self.authority.certificate("old", LOCAL, PAST), "its certificate has expired"),
            ("not yet valid", self.authority.certificate("new", LOCAL, FUTURE), "its certificate is not valid yet"),
            ("another host", self.authority.certificate("else", "DNS:else.example"), "is for another host name"),
        ):
            for words_of_call in (
                ("request", "GET", "/v1/organization"),
                ("request", "POST", "/v1/text_to_image", "--body", BODY),
                ("wait", "an-id"),
            ):
                with self.subTest(name, call=words_of_call), FakeRunway(tls=files) as fake:
                    clock = Clock()
                    result = self.call(fake, *words_of_call, clock=clock)
                    self.assert_error(result, 69, kind="network", maybeAccepted=None)
                    self.assertIn("not trusted, ", result.error["error"])
                    self.assertIn(words, result.error["error"])
                    self.assertEqual(fake.requests, [])
                    self.assertEqual(clock.slept, [])

    def test_a_certificate_for_an_address_is_good_for_that_address(self) -> None:
        files = self.authority.certificate("address", "IP:127.0.0.2")
        with FakeRunway(tls=files) as fake:
            env = {
                **fake.env(),
                "SSL_CERT_FILE": self.authority.path,
                "RUNWAY_SKILLS_BASE_URL": fake.url.replace("localhost", "127.0.0.1"),
            }
            result = call("request", "GET", "/v1/organization", env=env)
            self.assert_error(result, 69, kind="network")
            self.assertIn("its certificate is for another address", result.error["error"])

    def test_the_advice_fits_the_platform(self) -> None:
        other = Authority(self.folder, "unknown")
        with FakeRunway(tls=other.certificate("leaf", LOCAL)) as fake:
            for platform, advice in (
                ("linux", "SSL_CERT_FILE can name a file of further authorities"),
                ("darwin", "Install Certificates.command"),
            ):
                with self.subTest(platform), mock.patch("sys.platform", platform):
                    self.assertIn(advice, self.call(fake, "request", "GET", "/v1/organization").error["error"])

    def test_a_file_without_certificates_is_named_in_the_error(self) -> None:
        with FakeRunway(tls=self.good) as fake:
            for name in ("missing.pem", "empty.pem"):
                path = self.folder / name
                if name == "empty.pem":
                    path.write_bytes(b"")
                with self.subTest(name):
                    result = self.call(fake, "request", "GET", "/v1/organization", trusted=str(path))
                    self.assertIn(result.exit, (69, 78), result)
                    self.assertIn("SSL_CERT_FILE", result.error["error"])
                    self.assertEqual(fake.requests, [])

    def test_a_server_without_tls_was_never_sent_the_request(self) -> None:
        with FakeRunway() as fake:
            env = {**fake.env(), "RUNWAY_SKILLS_BASE_URL": fake.url.replace("http:", "https:")}
            clock = Clock()
            result = call("request", "POST", "/v1/text_to_image", "--body", BODY, env=env, clock=clock)
            self.assert_error(result, 69, kind="network", maybeAccepted=None)
            self.assertRegex(result.error["error"], r": TLS failed \([a-z0-9 ]+\)$")
            self.assertEqual(fake.requests, [])
            self.assertEqual(len(clock.slept), 2)

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
                    result = self.call(fake, "request", "POST", "/v1/text_to_image", "--body", BODY)
                    self.assert_error(result, 69, kind="network", maybeAccepted=True)
                    self.assertEqual(len(fake.requests), 1)

    def test_a_trickle_over_tls_ends_at_the_timeout_too(self) -> None:
        with FakeRunway(tls=self.good) as fake:
            fake.fault(Fault("drip"), times=None)
            result = self.call(fake, "request", "GET", "/v1/organization", "--timeout", "0.3", "--retries", "0")
            self.assert_error(result, 69, kind="network")
            self.assertIn("no complete answer within 0.3 s", result.error["error"])

    def test_a_handshake_that_breaks_off_is_tried_again(self) -> None:
        with FakeRunway(tls=self.good) as fake, breaking_listener() as port:
            env = {
                **fake.env(),
                "SSL_CERT_FILE": self.authority.path,
                "RUNWAY_SKILLS_BASE_URL": f"https://localhost:{port}",
            }
            clock = Clock()
            result = call("request", "POST", "/v1/text_to_image", "--body", BODY, env=env, clock=clock)
            self.assert_error(result, 69, kind="network", maybeAccepted=None)
            self.assertEqual(len(clock.slept), 2)

    def test_the_context_is_made_once_for_all_requests(self) -> None:
        with (
            FakeRunway(tls=self.good) as fake,
            mock.patch("ssl.create_default_context", side_effect=ssl.create_default_context) as made,
        ):
            for _ in range(5):
                fake.add_avatar()
            result = self.call(fake, "request", "GET", "/v1/avatars?limit=2", "--paginate")
            self.assertEqual(result.exit, 0, result)
            self.assertEqual(len(result.json["data"]), 5, result)
            self.assertEqual(len(fake.requests), 3, result)
            self.assertEqual(made.call_count, 1)


class breaking_listener:
    """A port of loopback that resets every connection in the middle of its TLS handshake."""

    def __enter__(self) -> int:
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()
        port: int = self.listener.getsockname()[1]
        return port

    def serve(self) -> None:
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            link.recv(5)  # what is left unread makes the close an RST
            link.close()

    def __exit__(self, *_: object) -> None:
        self.listener.close()
