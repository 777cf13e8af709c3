"""The client over a transport that the test injects: what is sent, how often, with which secret and time limit."""

from __future__ import annotations

import json
import unittest
from collections.abc import Iterable
from email.message import Message
from typing import Any, Union

from runway_cli.api import services as registry
from runway_cli.api.client import Client
from runway_cli.errors import ApiError, AuthError, NetworkError
from runway_cli.settings import Target
from runway_cli.shutdown import Shutdown
from runway_cli.terminal.console import Console
from runway_cli.transport.http import Request, Response, Stream
from tests.program import Clock

SECRET = "key_" + "5" * 128
BASE = "https://api.example.com"
LOST = NetworkError("cut off", maybe_received=True)
UNSENT = NetworkError("refused", maybe_received=False)

Outcome = Union[Response, NetworkError]


def response(status: int, value: Any, **headers: str) -> Response:
    found = Message()
    for name, text in headers.items():
        found[name.replace("_", "-")] = text
    return Response(status, found, json.dumps(value).encode())


class InjectedTransport:
    """Gives the outcomes in turn, and keeps what was sent."""

    def __init__(self, outcomes: Iterable[Outcome], clock: Clock, seconds: float) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[Request] = []
        self.timeouts: list[float] = []
        self._clock = clock
        self._seconds = seconds

    def send(self, request: Request, timeout: float) -> Response:
        self.sent.append(request)
        self.timeouts.append(timeout)
        self._clock.now += self._seconds
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, NetworkError):
            raise outcome
        return outcome

    def stream(self, request: Request, idle_timeout: float, time_limit: float | None = None) -> Stream:
        raise AssertionError("no transfer is expected")

    def close(self) -> None:
        pass


class ClientTest(unittest.TestCase):
    def client(
        self, *outcomes: Outcome, gateway: str | None = None, secret: str | None = SECRET, seconds: float = 0.0
    ) -> Client:
        """A client whose transport gives these outcomes, each after so many `seconds`."""
        self.clock = Clock()
        self.transport = InjectedTransport(outcomes, self.clock, seconds)
        target = Target(base_url=BASE, secret=secret, secret_names=("THE_KEY",), client_id="the-client", timeout=60.0)
        return Client(
            target,
            registry.service(gateway, target),
            console=Console(quiet=True),
            clock=self.clock,
            shutdown=Shutdown(),
            make_transport=lambda: self.transport,
        )

    def methods(self) -> list[str]:
        return [request.method for request in self.transport.sent]


class CallTest(ClientTest):
    def test_an_answer_is_the_json_value(self) -> None:
        client = self.client(response(200, {"id": "x"}))
        self.assertEqual(client.call("GET", "/v1/tasks/x").value, {"id": "x"})
        self.assertEqual(self.transport.sent[0].url, BASE + "/v1/tasks/x")

    def test_a_post_is_sent_again_after_a_503(self) -> None:
        client = self.client(response(503, {}), response(200, {"id": "x"}))
        client.call("POST", "/v1/text_to_image", b"{}")
        self.assertEqual(self.methods(), ["POST", "POST"])

    def test_a_lost_post_is_not_sent_again_and_may_have_been_accepted(self) -> None:
        client = self.client(LOST)
        with self.assertRaises(NetworkError) as caught:
            client.call("POST", "/v1/text_to_image", b"{}")
        self.assertTrue(caught.exception.fact("may_have_been_accepted"))
        self.assertEqual(self.methods(), ["POST"])

    def test_a_gateway_does_not_send_a_post_again_after_a_503(self) -> None:
        client = self.client(response(503, {}), gateway="lowcodeapi")
        with self.assertRaises(ApiError) as caught:
            client.call("POST", "/v1/image_to_video", b"{}")
        self.assertTrue(caught.exception.fact("may_have_been_accepted"))
        self.assertEqual(self.methods(), ["POST"])

    def test_a_get_is_tried_as_often_as_retries_allow(self) -> None:
        client = self.client(*[response(500, {}) for _ in range(4)])
        with self.assertRaises(ApiError):
            client.call("GET", "/v1/organization", retries=3)
        self.assertEqual(len(self.methods()), 4)

    def test_a_delete_that_finds_nothing_after_a_lost_one_is_done(self) -> None:
        client = self.client(LOST, response(404, {"error": "not found"}))
        self.assertEqual(client.call("DELETE", "/v1/documents/x").value, {})

    def test_a_delete_that_finds_nothing_at_first_fails(self) -> None:
        client = self.client(response(404, {"error": "not found"}))
        with self.assertRaisesRegex(ApiError, "not found"):
            client.call("DELETE", "/v1/documents/x")

    def test_without_a_secret_nothing_is_sent(self) -> None:
        client = self.client(secret=None)
        with self.assertRaisesRegex(AuthError, "THE_KEY"):
            client.call("GET", "/v1/organization")
        self.assertEqual(self.methods(), [])


class LimitTest(ClientTest):
    def test_a_deadline_shortens_the_timeout(self) -> None:
        client = self.client(response(200, {}))
        client.call("GET", "/v1/tasks/x", deadline=self.clock.now + 7)
        self.assertEqual(self.transport.timeouts, [7])

    def test_the_time_that_tries_took_counts(self) -> None:
        client = self.client(response(503, {}), response(200, {}), seconds=10.0)
        client.call("GET", "/v1/tasks/x", deadline=self.clock.now + 30)
        first, second = self.transport.timeouts
        self.assertEqual(first, 30)
        self.assertLess(second, 20)

    def test_nothing_is_sent_again_past_the_deadline(self) -> None:
        client = self.client(response(503, {}), seconds=10.0)
        with self.assertRaises(ApiError):
            client.call("GET", "/v1/tasks/x", deadline=self.clock.now + 10.5)
        self.assertEqual(self.methods(), ["GET"])


class SecretTest(ClientTest):
    def test_the_service_gets_the_secret(self) -> None:
        client = self.client(response(200, {}))
        client.call("GET", "/v1/organization")
        self.assertEqual(self.transport.sent[0].headers["Authorization"], f"Bearer {SECRET}")

    def test_another_host_does_not(self) -> None:
        client = self.client(response(200, {}))
        client.fetch("https://docs.example.com/openapi.json", {}, 10)
        self.assertNotIn(SECRET, json.dumps(dict(self.transport.sent[0].headers)))


class GatewayTest(ClientTest):
    def test_a_get_tries_the_other_address_format_once(self) -> None:
        client = self.client(response(404, {"message": "Route not found"}), response(200, {"data": {"id": "x"}}),
                             gateway="lowcodeapi")  # fmt: skip
        self.assertEqual(client.call("GET", "/v1/tasks/x").value, {"id": "x"})
        self.assertEqual(len({request.url.partition("?")[0] for request in self.transport.sent}), 2)

    def test_the_format_that_worked_is_kept(self) -> None:
        client = self.client(
            response(404, {"message": "Route not found"}),
            response(200, {"data": {"id": "x"}}),
            response(200, {"data": {"id": "x"}}),
            gateway="lowcodeapi",
        )
        client.call("GET", "/v1/tasks/x")
        client.call("GET", "/v1/tasks/x")
        self.assertEqual(self.transport.sent[2].url, self.transport.sent[1].url)

    def test_a_post_goes_to_one_address(self) -> None:
        client = self.client(response(404, {"message": "Route not found"}), gateway="lowcodeapi")
        with self.assertRaises(ApiError):
            client.call("POST", "/v1/image_to_video", b"{}")
        self.assertEqual(self.methods(), ["POST"])


if __name__ == "__main__":
    unittest.main()
