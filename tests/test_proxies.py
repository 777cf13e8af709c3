"""Proxies from the environment: a real one, which tunnels by CONNECT, for https only and never for loopback."""

from __future__ import annotations

import base64
import os
import select
import socket
import tempfile
import unittest
from collections.abc import Mapping
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

from runway_cli.transport import proxy_for
from tests.certificates import Authority
from tests.fake import SECRET, FakeRunway, Fault
from tests.loopback import Conversation, Server
from tests.program import BODY, Clock, ProgramTest, Result, call

HOST = "api.example.test"  # known to the proxy alone
GET = ("request", "GET", "/v1/organization")
POST = ("request", "POST", "/v1/text_to_image", "--body", BODY)


ESTABLISHED = b"200 Connection established"


class Proxy:
    """A proxy on loopback behind whose every name stands one service. `heads`: the requests that it was sent."""

    def __init__(self, behind: str, answer: bytes = ESTABLISHED) -> None:
        self._behind = ("127.0.0.1", urlsplit(behind).port or 0)
        self._answer = answer
        self._server = Server(self._serve)
        self.heads = self._server.heads
        self.place = f"127.0.0.1:{self._server.port}"

    def _serve(self, conversation: Conversation) -> None:
        """Answers one CONNECT as the proxy was told to, and hands bytes to and fro."""
        conversation.read_head()
        if not self._answer:
            conversation.wait()
        conversation.say(b"HTTP/1.1 " + self._answer + b"\r\nVia: 1.1 proxy\r\n\r\n")
        if ESTABLISHED not in self._answer:
            return
        with socket.create_connection(self._behind) as service:
            ends = {conversation.connection: service, service: conversation.connection}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    ends[end].sendall(data)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()


class ProxyTest(ProgramTest):
    """The service answers to a name that only the proxy can find."""

    fake: FakeRunway
    env: dict[str, str]

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        authority = Authority(Path(folder.name), "authority")
        cls.fake = FakeRunway(tls=authority.certificate("leaf", f"DNS:{HOST},DNS:localhost"))
        cls.fake.__enter__()
        cls.addClassCleanup(cls.fake.__exit__, None, None, None)
        cls.env = {**cls.fake.env(), "SSL_CERT_FILE": authority.path, "RUNWAY_SKILLS_BASE_URL": f"https://{HOST}"}

    def setUp(self) -> None:
        self.fake.clear_faults()
        self.fake.requests.clear()

    def get(self, variables: Mapping[str, str], *words: str, clock: Clock | None = None) -> Result:
        return call(*(words or GET), env={**self.env, **variables}, clock=clock)

    def test_https_goes_through_the_tunnel_and_the_proxy_sees_no_secret(self) -> None:
        for variable in ("HTTPS_PROXY", "https_proxy"):
            with self.subTest(variable), Proxy(self.fake.url) as proxy:
                result = self.get({variable: f"http://{proxy.place}"})
                self.assert_success(result, json=self.fake.organization)
                self.assertEqual(
                    [head.split("\r\n")[0].rsplit(" ", 1)[0] for head in proxy.heads], [f"CONNECT {HOST}:443"]
                )
                self.assertNotIn(SECRET, "".join(proxy.heads))
                self.assertNotIn("runway", "".join(proxy.heads).lower())
                self.assertEqual(self.fake.requests[-1].headers["host"], HOST)
                self.assertNotIn("proxy-authorization", self.fake.requests[-1].headers)

    def test_a_user_and_password_are_for_the_proxy_alone(self) -> None:
        with Proxy(self.fake.url) as proxy:
            url = f"http://ada:p%40ss%3Aw%C3%BCrd@{proxy.place}"
            result = self.get({"HTTPS_PROXY": url}, *GET, "--verbose")
            self.assertEqual(result.exit, 0, result)
            login = base64.b64encode("ada:p@ss:würd".encode()).decode()
            self.assertIn(f"Proxy-Authorization: Basic {login}\r\n", proxy.heads[0])
            self.assertNotIn("proxy-authorization", self.fake.requests[0].headers)
            for hidden in (login, "p%40ss", "p@ss"):
                self.assertNotIn(hidden, result.stderr)

    def test_a_loopback_address_never_goes_through_a_proxy(self) -> None:
        with Proxy(self.fake.url) as proxy, FakeRunway() as plain:
            names = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy")
            everywhere = dict.fromkeys(names, f"http://{proxy.place}")
            for url in (self.fake.url, plain.url, plain.url.replace("127.0.0.1", "localhost")):
                with self.subTest(url):
                    self.assertEqual(self.get({**everywhere, "RUNWAY_SKILLS_BASE_URL": url}).exit, 0)
            self.assertEqual(proxy.heads, [])

    def test_interim_answers_of_a_proxy_are_skipped(self) -> None:
        with Proxy(self.fake.url, b"100 Continue\r\n\r\nHTTP/1.1 " + ESTABLISHED) as proxy:
            self.assert_success(self.get({"HTTPS_PROXY": proxy.place}))

    def test_a_refusal_by_the_proxy_means_that_nothing_was_sent(self) -> None:
        for answer in (b"407 Proxy Authentication Required", b"403 Forbidden", b"502 Bad Gateway"):
            with self.subTest(answer), Proxy(self.fake.url, answer) as proxy:
                clock = Clock()
                result = self.get({"HTTPS_PROXY": proxy.place}, *POST, clock=clock)
                self.assert_error(result, 69, kind="network", maybeAccepted=None)
                self.assertIn(f"{HOST} through the proxy {proxy.place}: ", result.error["error"])
                self.assertIn(answer.decode().lower(), result.error["error"])
                self.assertEqual(len(proxy.heads), 3)
                self.assertEqual(len(clock.slept), 2)
                self.assertEqual(self.fake.requests, [])

    def test_a_proxy_that_repeats_its_credentials_is_not_quoted(self) -> None:
        login = base64.b64encode(b"zoe:p@ssw0rd").decode()
        answer = f"407 not zoe:p@ssw0rd, p%40ssw0rd, p@ss\u200bw0rd nor Basic {login}".encode()
        with Proxy(self.fake.url, answer) as proxy:
            result = self.get({"HTTPS_PROXY": f"http://zoe:p%40ssw0rd@{proxy.place}"}, *GET, "--verbose")
        self.assert_error(result, 69, kind="network")
        self.assertTrue(result.error["error"].endswith(": 407 proxy authentication required"), result)
        for part in ("zoe", "ssw0rd", "w0rd", login):
            self.assertNotIn(part, result.stderr)

    def test_a_silent_proxy_is_given_up_after_the_timeout(self) -> None:
        with Proxy(self.fake.url, b"") as proxy:
            result = self.get({"HTTPS_PROXY": proxy.place}, *POST, "--timeout", "0.3", "--retries", "0")
            self.assert_error(result, 69, kind="network", maybeAccepted=None)
            self.assertIn("no complete answer within 0.3 s (no connection)", result.error["error"])

    def test_a_post_lost_behind_the_proxy_may_have_been_accepted(self) -> None:
        with Proxy(self.fake.url) as proxy:
            self.fake.fault(Fault("forward_then_reset"))
            result = self.get({"HTTPS_PROXY": proxy.place}, *POST)
            self.assert_error(result, 69, kind="network", maybeAccepted=True)
            self.assertEqual(len(self.fake.requests), 1)

    def test_a_certificate_is_checked_through_the_tunnel(self) -> None:
        with Proxy(self.fake.url) as proxy:
            result = self.get({"HTTPS_PROXY": proxy.place, "RUNWAY_SKILLS_BASE_URL": "https://else.example.test"})
            self.assert_error(result, 69, kind="network")
            self.assertIn("not valid for 'else.example.test'", result.error["error"])
            self.assertEqual(self.fake.requests, [])

    def test_a_proxy_that_cannot_be_used_is_a_configuration_error(self) -> None:
        variable = "https_proxy" if os.name == "nt" else "HTTPS_PROXY"  # there the two are one variable
        words = f"{variable} is not an http:// proxy such as http://proxy.example:8080"
        values = "https://a:1 socks5://a:1 ftp://a http:// http://a:0 http://a:port http://a:99999 http://[::1"
        for value in values.split():
            with self.subTest(value):
                self.assert_error(self.get({"HTTPS_PROXY": value}), 78, kind="config", error=words)


class SettingsTest(unittest.TestCase):
    """Which proxy is used, without a network."""

    def found(self, environment: dict[str, str], url: str = f"https://{HOST}/") -> str | None:
        """The place of the proxy for a URL."""
        with mock.patch.dict(os.environ, environment, clear=True):
            proxy = proxy_for(urlsplit(url))
            return f"{proxy.hostname}:{proxy.port or 80}" if proxy else None

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
            with self.subTest(environment):
                if len(environment) < 2 or os.name != "nt":  # there the two are one variable
                    self.assertEqual(self.found(environment), name)

    def test_no_proxy_is_read_as_curl_and_go_read_it(self) -> None:
        for value, direct, proxied in (
            ("*", "https://a.test/ https://10.0.0.1/", ""),
            ("a.test", "https://a.test/ https://x.A.test./ https://a.test:8443/", "https://ba.test/ https://test/"),
            (".a.test", "https://a.test/ https://x.a.test/", "https://ba.test/"),
            ("*.a.test", "https://x.a.test/", "https://ba.test/"),
            ("b.test, A.TEST.", "https://a.test/ https://b.test/", "https://c.test/"),
            ("b.test a.test", "https://a.test/ https://b.test/", "https://c.test/"),
            ("a.test:8443", "https://a.test:8443/ https://x.a.test:8443/", "https://a.test/ https://a.test:84/"),
            (
                "10.0.0.0/8",
                "https://10.1.2.3/ https://[::ffff:10.0.0.1]/",
                "https://11.0.0.1/ https://[::1:2]/ https://10.example/",
            ),
            ("10.0.0.1/8:8443", "https://10.1.2.3:8443/", "https://10.1.2.3/"),
            ("10.1.2.3", "https://10.1.2.3/", "https://10.1.2.33/ https://110.1.2.3/"),
            ("fd00::/8,2001:db8::1", "https://[fd12::1]/ https://[2001:DB8:0::1]/", "https://[2001:db8::2]/"),
            (
                "[2001:db8::1]:443 [fd00::]/8",
                "https://[2001:db8::1]/ https://[fd12::1]/",
                "https://[2001:db8::1]:8443/",
            ),
            ("10.0.0.0/99, /8, :443, ., nonsense/", "", "https://10.0.0.1/ https://a.test/"),
        ):
            for urls, name in ((direct, None), (proxied, "p:80")):
                for url in urls.split():
                    with self.subTest(value, url=url):
                        self.assertEqual(self.found({"HTTPS_PROXY": "p", "NO_PROXY": value}, url), name)

    @unittest.skipIf(os.name == "nt", "there the two are one variable")
    def test_the_lower_case_spelling_of_no_proxy_counts_first(self) -> None:
        for lower, upper, name in (("other.test", HOST, "p:80"), (HOST, "other.test", None), ("", HOST, None)):
            self.assertEqual(self.found({"HTTPS_PROXY": "p", "no_proxy": lower, "NO_PROXY": upper}), name)
