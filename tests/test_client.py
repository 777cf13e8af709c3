"""The client over a transport that the test injects: deadlines, and what a failure tells."""

from __future__ import annotations

import json
import socket
import time
import unittest
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from unittest import mock

from runway_cli.api.client import Client
from runway_cli.api.runway import Service
from runway_cli.errors import ApiError, NetworkError
from runway_cli.settings import Target
from runway_cli.shutdown import Shutdown
from runway_cli.terminal.console import Console
from runway_cli.transport import Transport
from tests.loopback import Conversation, Server, answering
from tests.program import Clock

SECRET = "key_" + "5" * 128
BASE = "https://api.example.com"


class InjectedTransport(Transport):
    """Answers with these statuses in turn, each after so many seconds, and keeps what was sent."""

    def __init__(self, statuses: Iterable[int], clock: Clock, seconds: float, body: object) -> None:
        super().__init__(Shutdown())
        self.sent: list[tuple[Mapping[str, str], float]] = []
        self._statuses = list(statuses)
        self._clock = clock
        self._seconds = seconds
        self._body = json.dumps(body).encode()

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, timeout: float
    ) -> Any:
        self.sent.append((headers, timeout))
        self._clock.now += self._seconds
        return SimpleNamespace(status=self._statuses.pop(0), headers={}, body=self._body)


class ClientTest(unittest.TestCase):
    """A client of Runway whose transport gives these statuses."""

    def client(
        self,
        *statuses: int,
        body: object = (),
        seconds: float = 0.0,
        base: str = BASE,
        transport: Transport | None = None,
    ) -> Client:
        self.clock = Clock()
        self.transport = InjectedTransport(statuses, self.clock, seconds, body or {"id": "x"})
        target = Target(base_url=base, secret=SECRET, secret_names=("THE_KEY",), client_id="the-client", timeout=60.0)
        client = Client(Service(target), console=Console(quiet=True), clock=self.clock, shutdown=Shutdown())
        client.transport = transport or self.transport
        return client

    def timeouts(self) -> list[float]:
        return [timeout for _, timeout in self.transport.sent]

    def headers(self) -> dict[str, Any]:
        return dict(self.transport.sent[0][0])


class CallTest(ClientTest):
    def test_a_deadline_shortens_the_timeout_and_earlier_tries_count(self) -> None:
        client = self.client(503, 200, seconds=10.0)
        self.assertEqual(client.call("GET", "/v1/tasks/x", deadline=self.clock.now + 30).value, {"id": "x"})
        first, second = self.timeouts()
        self.assertEqual(first, 30)
        self.assertLess(second, 20)

    def test_nothing_is_sent_again_past_the_deadline(self) -> None:
        client = self.client(503, seconds=10.0)
        with self.assertRaises(ApiError):
            client.call("GET", "/v1/tasks/x", deadline=self.clock.now + 10.5)
        self.assertEqual(len(self.timeouts()), 1)

    def test_the_service_gets_the_secret_and_another_host_does_not(self) -> None:
        self.client(200).call("GET", "/v1/organization")
        self.assertEqual(self.headers()["Authorization"], f"Bearer {SECRET}")
        self.client(200).fetch("https://docs.example.com/openapi.json", {}, 10)
        self.assertNotIn(SECRET, json.dumps(self.headers()))


class PermanentTest(ClientTest):
    def test_a_failure_tells_whether_it_can_pass_by_itself(self) -> None:
        no_host = mock.patch("socket.getaddrinfo", side_effect=socket.gaierror(-2, "not known"))
        half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"

        def plainly(peer: Conversation) -> None:
            peer.connection.recv(9999)  # or the end of the connection is a reset
            peer.say(half)

        with Server(answering(half)) as cut, Server(plainly) as plain:
            for base, at, permanent in (
                ("https://unknown.example", no_host, True),
                (plain.url.replace("http:", "https:"), nullcontext(), True),
                (cut.url, nullcontext(), False),
            ):
                client = self.client(base=base, transport=Transport(Shutdown()))
                with self.subTest(base), at, self.assertRaises(NetworkError) as caught:
                    client.call("GET", "/v1/tasks/x", retries=0)
                self.assertIs(caught.exception.permanent, permanent)


class CreditsTest(ClientTest):
    def test_too_few_credits_are_told_from_any_other_refusal(self) -> None:
        issue = {"path": ["credits"], "message": "Insufficient credits", "code": "custom"}
        for status, body, kind in (
            (402, {"error": ""}, "credits"),
            (400, {"error": "You do not have enough credits to run this task."}, "credits"),
            (400, {"message": "You don't have enough credits."}, "credits"),
            (403, {"error": {"message": "Insufficient credit balance", "code": 403}}, "credits"),
            (400, {"error": "Bad request", "code": "INSUFFICIENT_CREDITS"}, "credits"),
            (400, {"error": "Bad request", "code": "notEnoughCredits"}, "credits"),
            (422, {"error": "Validation failed", "issues": [issue]}, "credits"),
            (429, {"error": "Your credits are exhausted"}, "credits"),
            (400, {"error": "This costs 25 credits: you only have 3 credits"}, "credits"),
            (400, {"error": "The cost exceeds your balance."}, "credits"),
            (400, {"error": "duration is required"}, "api"),
            (400, {"error": "Not enough characters in promptText"}, "api"),
            (429, {"error": "Daily limit reached"}, "api"),
            (401, {"error": "No API key: credits cannot be read"}, "auth"),
            (503, {"error": "out of credits"}, "api"),
        ):
            with self.subTest(status=status, body=body):
                client = self.client(status, body=body)
                with self.assertRaises(ApiError) as caught:
                    client.call("POST", "/v1/text_to_image", b"{}", retries=0)
                self.assertEqual(caught.exception.kind, kind)
                self.assertEqual("https://dev.runwayml.com/ (Billing)" in caught.exception.message, kind == "credits")
                self.assertIs(caught.exception.final, kind == "credits")


class ErrorTest(ClientTest):
    def test_of_a_long_error_the_beginning_is_told(self) -> None:
        issues = [{"path": ["a", 0], "code": "invalid_type"}, *({"message": f"{number}"} for number in range(100_000))]
        body = {"error": "<b " * 100_000, "message": "x" * 100_000, "code": "c" * 100_000, "issues": issues}
        start = time.process_time()
        with self.assertRaises(ApiError) as caught:
            self.client(400, body=body).call("GET", "/v1/tasks/x")
        self.assertLess(time.process_time() - start, 2)
        error = caught.exception
        self.assertLess(len(error.message), 400)
        self.assertIsNone(error.fact("code"))
        self.assertEqual(error.fact("issues")[0], {"field": "a.0", "messages": ["invalid_type"]})
        self.assertEqual(len(error.fact("issues")), 100)
