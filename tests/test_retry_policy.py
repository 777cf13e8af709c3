"""The retry policy, without a network: what is sent again, what a failure proves, and how long is waited."""

from __future__ import annotations

import unittest
from typing import Any

from runway_cli.api.retry import DIRECT, GATEWAY, Retrying, may_pass, may_poll_again
from runway_cli.errors import ApiError, NetworkError, TaskError, UsageError
from runway_cli.shutdown import Shutdown
from tests.program import Clock

UNSENT = NetworkError("refused", maybe_received=False)
LOST = NetworkError("cut off", maybe_received=True)
NOT_JSON = ApiError("not JSON", status=200, is_json=False)
BAD_CERTIFICATE = NetworkError("not trusted", maybe_received=False, permanent=True)
YES, NO = True, False


def answer(status: int, **facts: Any) -> ApiError:
    return ApiError(f"HTTP {status}", status=status, **facts)


# failure: is a GET sent again; is a POST, through a gateway; may it have been accepted, through a gateway; may it pass
RULES: list[tuple[ApiError | NetworkError, bool, tuple[bool, bool], tuple[bool, bool], bool]] = [
    (answer(302), NO, (NO, NO), (NO, NO), NO),
    (answer(400), NO, (NO, NO), (NO, NO), NO),
    (answer(401), NO, (NO, NO), (NO, NO), NO),
    (answer(403), NO, (NO, NO), (NO, NO), NO),
    (answer(404), NO, (NO, NO), (NO, NO), NO),
    (answer(408), YES, (NO, NO), (YES, YES), YES),
    (answer(429), YES, (YES, YES), (NO, NO), YES),
    (answer(500), YES, (NO, NO), (YES, YES), YES),
    (answer(501), NO, (NO, NO), (YES, YES), YES),
    (answer(502), YES, (YES, NO), (NO, YES), YES),
    (answer(503), YES, (YES, NO), (NO, YES), YES),
    (answer(504), YES, (YES, NO), (NO, YES), YES),
    (answer(599), NO, (NO, NO), (YES, YES), YES),
    (NOT_JSON, NO, (NO, NO), (YES, YES), NO),
    (UNSENT, YES, (YES, YES), (NO, NO), YES),
    (LOST, YES, (NO, NO), (YES, YES), YES),
    (BAD_CERTIFICATE, NO, (NO, NO), (NO, NO), NO),
]


class PolicyTest(unittest.TestCase):
    def test_each_failure_allows_and_proves_what_the_table_says(self) -> None:
        for failure, safe, unsafe, accepted, passes in RULES:
            with self.subTest(str(failure)):
                for number, policy in enumerate((DIRECT, GATEWAY)):
                    for method in ("GET", "PUT", "DELETE"):
                        self.assertIs(policy.is_retryable(method, failure), safe)
                        self.assertIs(policy.may_have_been_accepted(method, failure), False)
                    for method in ("POST", "PATCH"):
                        self.assertIs(policy.is_retryable(method, failure), unsafe[number])
                        self.assertIs(policy.may_have_been_accepted(method, failure), accepted[number])
                self.assertIs(may_pass(failure), passes)
                self.assertIs(may_poll_again(failure), passes or failure is NOT_JSON)

    def test_what_is_no_failure_of_an_exchange_does_not_pass(self) -> None:
        for failure in (UsageError("wrong"), TaskError("failed")):
            self.assertFalse(may_pass(failure))


class LoopTest(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.notes: list[str] = []
        self.sent = 0

    def run_through(self, method: str, *failures: Exception, progress: Any = lambda: 0, **options: Any) -> str:
        """Returns the answer of an attempt that first fails in these ways, one after the other."""
        rest = list(failures)

        def attempt(_: object) -> str:
            self.sent += 1
            if rest:
                raise rest.pop(0)
            return "answer"

        options = {"retries": 2, "clock": self.clock, "shutdown": Shutdown(), "note": self.notes.append, **options}
        return Retrying(DIRECT, **options).run(method, attempt, progress)

    def test_the_loop_ends_with_the_answer(self) -> None:
        self.assertEqual(self.run_through("POST", answer(503), UNSENT), "answer")
        self.assertEqual((self.sent, len(self.notes)), (3, 2))

    def test_the_last_failure_is_raised_once_the_tries_are_used_up(self) -> None:
        with self.assertRaisesRegex(ApiError, "HTTP 504"):
            self.run_through("GET", answer(502), answer(503), answer(504))

    def test_what_must_not_be_sent_again_or_would_take_too_long_is_sent_once(self) -> None:
        for name, method, failure, options in (
            ("a lost POST", "POST", LOST, {}),
            ("more than a minute", "GET", answer(429, retry_after=61.0), {}),
            ("past the deadline", "GET", answer(503), {"deadline": self.clock.now + 0.5}),
        ):
            with self.subTest(name), self.assertRaises((ApiError, NetworkError)):
                self.run_through(method, failure, **options)
        self.assertEqual(self.clock.slept, [])
        self.assertEqual(self.sent, 3)

    def test_the_service_may_ask_for_a_longer_wait(self) -> None:
        self.run_through("GET", answer(429, retry_after=30.0))
        self.assertEqual(self.clock.slept, [30.0])

    def test_progress_earns_new_tries(self) -> None:
        done = iter([0, 1, 1, 2, 2, 3, 3, 4, 4])
        failures = [LOST, LOST, LOST, LOST]
        self.assertEqual(self.run_through("GET", *failures, retries=1, progress=lambda: next(done)), "answer")


if __name__ == "__main__":
    unittest.main()
