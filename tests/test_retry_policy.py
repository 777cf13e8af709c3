"""The retry policies as values, and the loop that follows them, without a network."""

from __future__ import annotations

import unittest
from typing import Any

from runway_cli.api.retry import DIRECT, GATEWAY, POLLING, Retrying, RetryPolicy
from runway_cli.errors import ApiError, NetworkError
from runway_cli.shutdown import Shutdown
from tests.program import Clock

SAFE, UNSAFE = ("GET", "PUT", "DELETE"), ("POST", "PATCH")
UNSENT = NetworkError("refused", maybe_received=False)
LOST = NetworkError("cut off", maybe_received=True)
NOT_JSON = ApiError("not JSON", status=200, is_json=False)
BAD_CERTIFICATE = NetworkError("not trusted", maybe_received=False, permanent=True)


def answer(status: int, **facts: Any) -> ApiError:
    return ApiError(f"HTTP {status}", status=status, **facts)


# outcome: is a safe method sent again (direct, gateway, polling); is a POST or PATCH (direct, gateway)
AGAIN: list[tuple[Any, tuple[bool, bool, bool], tuple[bool, bool]]] = [
    (answer(400), (False, False, False), (False, False)),
    (answer(401), (False, False, False), (False, False)),
    (answer(404), (False, False, False), (False, False)),
    (answer(408), (True, True, True), (False, False)),
    (answer(429), (True, True, True), (True, True)),
    (answer(302), (False, False, False), (False, False)),
    (answer(500), (True, True, True), (False, False)),
    (answer(501), (False, False, True), (False, False)),
    (answer(502), (True, True, True), (True, False)),
    (answer(503), (True, True, True), (True, False)),
    (answer(504), (True, True, True), (True, False)),
    (answer(599), (False, False, True), (False, False)),
    (NOT_JSON, (False, False, True), (False, False)),
    (UNSENT, (True, True, True), (True, True)),
    (LOST, (True, True, True), (False, False)),
    (BAD_CERTIFICATE, (False, False, False), (False, False)),
]
# outcome: may a POST have been carried out (direct, gateway)
ACCEPTED: list[tuple[Any, tuple[bool, bool]]] = [
    (answer(302), (False, False)),
    (answer(400), (False, False)),
    (answer(403), (False, False)),
    (answer(408), (True, True)),
    (answer(429), (False, False)),
    (answer(500), (True, True)),
    (answer(501), (True, True)),
    (answer(502), (False, True)),
    (answer(503), (False, True)),
    (answer(504), (False, True)),
    (NOT_JSON, (True, True)),
    (UNSENT, (False, False)),
    (LOST, (True, True)),
]


class PolicyTest(unittest.TestCase):
    def test_what_may_be_sent_again(self) -> None:
        for failure, safe, unsafe in AGAIN:
            for policy, expected in zip((DIRECT, GATEWAY, POLLING), safe):
                for method in SAFE:
                    with self.subTest(str(failure), policy=policy.name, method=method):
                        self.assertEqual(policy.is_retryable(method, failure), expected)
            for policy, expected in zip((DIRECT, GATEWAY, POLLING), (*unsafe, unsafe[0])):
                for method in UNSAFE:
                    with self.subTest(str(failure), policy=policy.name, method=method):
                        self.assertEqual(policy.is_retryable(method, failure), expected)

    def test_what_may_have_been_accepted(self) -> None:
        for failure, expected in ACCEPTED:
            for policy, is_uncertain in zip((DIRECT, GATEWAY), expected):
                with self.subTest(str(failure), policy=policy.name):
                    self.assertEqual(policy.may_have_been_accepted("POST", failure), is_uncertain)
                    self.assertEqual(policy.may_have_been_accepted("PATCH", failure), is_uncertain)
                    self.assertFalse(policy.may_have_been_accepted("GET", failure))
                    self.assertFalse(policy.may_have_been_accepted("DELETE", failure))

    def test_a_policy_can_be_printed(self) -> None:
        self.assertIn("503: again, again", repr(DIRECT))
        self.assertIn("503: again, no", repr(GATEWAY))


class LoopTest(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.notes: list[str] = []
        self.sent = 0

    def loop(self, policy: RetryPolicy = DIRECT, retries: int = 2, deadline: float | None = None) -> Retrying:
        return Retrying(
            policy, retries=retries, clock=self.clock, shutdown=Shutdown(), note=self.notes.append, deadline=deadline
        )

    def failing(self, *failures: Exception) -> Any:
        """An attempt that fails in these ways, one after the other, and then answers."""
        rest = list(failures)

        def attempt(_: object) -> str:
            self.sent += 1
            if rest:
                raise rest.pop(0)
            return "answer"

        return attempt

    def test_the_loop_ends_with_the_answer(self) -> None:
        self.assertEqual(self.loop().run("POST", self.failing(answer(503), UNSENT)), "answer")
        self.assertEqual(self.sent, 3)
        self.assertEqual(len(self.notes), 2)

    def test_a_lost_post_is_sent_once(self) -> None:
        with self.assertRaises(NetworkError):
            self.loop().run("POST", self.failing(LOST))
        self.assertEqual(self.sent, 1)
        self.assertEqual(self.clock.slept, [])

    def test_the_last_failure_is_raised(self) -> None:
        with self.assertRaisesRegex(ApiError, "HTTP 504"):
            self.loop().run("GET", self.failing(answer(502), answer(503), answer(504)))

    def test_the_service_may_ask_for_a_longer_wait(self) -> None:
        self.loop().run("GET", self.failing(answer(429, retry_after=30.0)))
        self.assertEqual(self.clock.slept, [30.0])

    def test_a_wish_of_more_than_a_minute_is_not_waited_for(self) -> None:
        with self.assertRaises(ApiError):
            self.loop().run("GET", self.failing(answer(429, retry_after=61.0)))
        self.assertEqual(self.clock.slept, [])

    def test_nothing_is_waited_for_past_the_deadline(self) -> None:
        with self.assertRaises(ApiError):
            self.loop(deadline=self.clock.now + 0.5).run("GET", self.failing(answer(503)))
        self.assertEqual(self.clock.slept, [])

    def test_progress_earns_new_tries(self) -> None:
        done = iter([0, 1, 1, 2, 2, 3, 3, 4, 4])
        failures = [LOST, LOST, LOST, LOST]
        answered = self.loop(retries=1).run("GET", self.failing(*failures), lambda: next(done))
        self.assertEqual(answered, "answer")


if __name__ == "__main__":
    unittest.main()
