"""The retry policy, without a network: what is sent again, what a failure proves, and what may pass."""

from __future__ import annotations

import unittest
from typing import Any

from runway_cli.api.retry import DIRECT, GATEWAY, may_pass, may_poll_again
from runway_cli.errors import ApiError, NetworkError, TaskError, UsageError

UNSENT = NetworkError("refused", maybe_received=False, permanent=True)
LOST = NetworkError("cut off", maybe_received=True)
NOT_JSON = ApiError("not JSON", status=200, is_json=False)
BAD_CERTIFICATE = NetworkError("not trusted", maybe_received=False, permanent=True, final=True)
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
    (answer(429, final=True), NO, (NO, NO), (NO, NO), YES),
    (answer(503, final=True), NO, (NO, NO), (NO, YES), YES),
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
                        self.assertIs(policy.delay(method, failure, 0) is not None, safe)
                        self.assertIs(policy.may_have_been_accepted(method, failure), False)
                    for method in ("POST", "PATCH"):
                        self.assertIs(policy.delay(method, failure, 0) is not None, unsafe[number])
                        self.assertIs(policy.may_have_been_accepted(method, failure), accepted[number])
                self.assertIs(may_pass(failure), passes)
                self.assertIs(may_poll_again(failure), passes or failure is NOT_JSON)

    def test_what_is_no_failure_of_an_exchange_does_not_pass(self) -> None:
        for failure in (UsageError("wrong"), TaskError("failed")):
            self.assertFalse(may_pass(failure))
