"""--timeout bounds one whole exchange, whatever the other side does or does not do."""

from __future__ import annotations

import ssl
import threading
import time
from unittest import mock

from tests.fake import SECRET, Fault
from tests.program import Result, call
from tests.served import ServiceTest, eventually

BOUND = 0.25  # seconds
GRACE = 1.0  # seconds that the program may take to end after its bound


def setUpModule() -> None:
    ssl.create_default_context()  # a system's certificates may take long when they are read for the first time


class TimeoutTest(ServiceTest):
    """Each server here would hold a client for ever."""

    def test_no_server_holds_the_program_longer_than_the_bound(self) -> None:
        for name, fault in {
            "never answers": Fault("no_answer"),
            "answers too late": Fault("slow", seconds=60),
            "trickles a byte at a time": Fault("drip"),
            "never ends its headers": Fault("endless_headers", seconds=0.02),
        }.items():
            for method, accepted in (("GET", None), ("POST", True)):
                with self.subTest(name, method=method):
                    self.forget()
                    self.fake.fault(fault, times=None)
                    result = self.timed(method, "/v1/organization" if method == "GET" else "/v1/text_to_image")
                    self.assert_error(result, 69, kind="network", maybeAccepted=accepted)
                    self.assertIn(f"no complete answer within {BOUND} s", result.error["error"])

    def test_bytes_that_come_quickly_but_without_end_are_bounded_too(self) -> None:
        for _ in range(20):
            self.fake.add_avatar()
        self.fake.fault(Fault("drip", chunk=5, seconds=0.001))
        self.assert_error(self.timed("GET", "/v1/avatars?limit=100"), 69, kind="network")

    def test_a_name_server_that_never_answers_was_never_a_request(self) -> None:
        never = threading.Event()
        self.addCleanup(never.set)
        with mock.patch("socket.getaddrinfo", lambda *_: never.wait(60)):
            result = self.timed("POST", "/v1/text_to_image", url="https://api.example.test")
        self.assert_error(result, 69, kind="network", maybeAccepted=None)
        self.assertIn("api.example.test: no complete answer", result.error["error"])

    def test_the_bound_is_of_each_try_and_not_of_their_sum(self) -> None:
        self.fake.fault(Fault("no_answer"))
        result = self.timed("GET", "/v1/organization", "--retries", "1", tries=2)
        self.assertEqual(result.exit, 0, result)
        self.assertEqual(len(self.fake.requests), 2)

    def test_an_answer_in_time_is_an_answer(self) -> None:
        self.fake.fault(Fault("drip", chunk=100, seconds=0.01))
        result = self.timed("GET", "/v1/organization", bound=20)
        self.assertEqual(result.exit, 0, result)
        self.assertEqual(result.json, self.fake.organization, result)

    def test_a_client_that_gives_up_leaves_no_connection_open(self) -> None:
        self.fake.fault(Fault("no_answer"))
        threads = threading.active_count()
        self.timed("GET", "/v1/organization")
        eventually(lambda: threading.active_count() <= threads)  # the server's thread ends when its client has gone

    def timed(self, method: str, path: str, *words: str, url: str = "", bound: float = BOUND, tries: int = 1) -> Result:
        """One call under a bound, which fails when the bound does not hold."""
        env = {**self.fake.env(), **({"RUNWAY_SKILLS_BASE_URL": url} if url else {})}
        words = (*words, "--body", "{}") if method == "POST" else words
        start = time.monotonic()
        result = call("request", method, path, "--timeout", str(bound), "--retries", "0", *words, env=env)
        self.assertLess(time.monotonic() - start, bound * tries + GRACE, result)
        self.assertNotIn(SECRET, result.stderr)
        return result
